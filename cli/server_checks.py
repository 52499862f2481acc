"""The doctor's questions about a server, its log and its database."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cli.checks import Check
from cli.client import Client, Server
from cli.errors import CliError

if TYPE_CHECKING:
    import httpx2

_SKEW = 5.0  # seconds; job ids and deadlines carry the time, with a margin of 30
_UNKNOWN = "not looked at: no address is known"


def server(url: str | None, api_key: str | None, data_dir: Path) -> Iterator[Check]:
    """Whether a server is known, answers, is ready part by part, knows the key, and agrees on the time."""
    try:
        client = Client(Server.find(url, api_key, data_dir))
    except CliError as error:
        yield Check("server", "fail", str(error), error.hint)
        return
    with client:
        try:
            alive = client.get("/livez")
            ready = client.get("/readyz")
            known = client.get("/v1/jobs/none")
        except CliError as error:
            yield Check("server", "fail", str(error), error.hint)
            return
    yield Check("server", "ok", client.url)
    yield _clock(alive)
    yield from _parts(ready)
    if known.status_code == 401:
        yield Check("api key", "fail", "the server does not know it", "give --api-key or HEADRACE_API_KEY")
    else:
        yield Check("api key", "ok", "known to the server")


def topics(data_dir: Path) -> list[Check]:
    """Whether the log holds every topic as declared."""
    from producers import provisioning
    from schemas.broker import Broker
    from schemas.errors import HeadraceError
    from schemas.settings import Settings

    port = _port(data_dir, "kafka")
    settings = Settings()
    if os.environ.get("HEADRACE_KAFKA"):
        broker = settings.broker
    elif port:
        broker = Broker(f"127.0.0.1:{port}")
    else:
        return [Check("topics", "warn", _UNKNOWN, "set HEADRACE_KAFKA")]
    try:
        # How many replicas there must be is the workers' to refuse.
        changes = provisioning.plan(broker, dev=True, tenants=settings.tenant_topics)
    except HeadraceError as error:
        return [Check("topics", "fail", error.detail, f"is Kafka running at {broker.bootstrap}?")]
    missing = [f"{change.topic} ({change.action})" for change in changes if change.action != "config"]
    if missing:
        return [Check("topics", "fail", f"not as declared: {', '.join(missing)}", "run: headrace topics apply")]
    return [Check("topics", "ok", f"as declared at {broker.bootstrap}")]


def migrations(data_dir: Path) -> list[Check]:
    """Whether the database's tables are this release's."""
    from schemas.errors import HeadraceError

    url = os.environ.get("HEADRACE_POSTGRES_ADMIN") or _embedded_postgres(data_dir)
    if url is None:
        return [Check("migrations", "warn", _UNKNOWN, "set HEADRACE_POSTGRES_ADMIN")]
    newest = _newest_migration()
    try:
        found = asyncio.run(_migrated_to(url))
    except HeadraceError as error:
        return [Check("migrations", "fail", error.detail, "is PostgreSQL running, and HEADRACE_POSTGRES_ADMIN right?")]
    if found != newest:
        return [Check("migrations", "fail", f"at {found}, not at {newest}", "run: headrace up")]
    return [Check("migrations", "ok", f"at {found}")]


def _clock(response: "httpx2.Response") -> Check:
    try:
        theirs = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return Check("clock", "warn", "the server sends no Date")
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    if skew > _SKEW:
        return Check("clock", "warn", f"{skew:.0f} s apart from the server's", "set both clocks by NTP")
    return Check("clock", "ok", "agrees with the server's")


def _parts(ready: "httpx2.Response") -> Iterator[Check]:
    try:
        parts = ready.json()["parts"]
    except (ValueError, KeyError):
        yield Check("readiness", "fail", f"/readyz answered {ready.status_code}", "does --url name a Headrace server?")
        return
    for name, part in parts.items():
        if part["state"] == "failed":
            yield Check(f"server: {name}", "fail", part["code"], f"see the logs of the API and of {name}")
        else:
            yield Check(f"server: {name}", "ok" if part["state"] == "ok" else "warn", part["state"])


def _port(data_dir: Path, name: str) -> int | None:
    """A port of the embedded stack, where there is one in `data_dir`."""
    from deploy.local.layout import Layout, read

    ports: dict[str, int] = read(Layout(data_dir.absolute()).ports) or {}
    return ports.get(name)


def _embedded_postgres(data_dir: Path) -> str | None:
    from deploy.local.postgres import Postgres

    port = _port(data_dir, "postgres")
    try:
        return Postgres(data_dir.absolute() / "postgres", port).url if port else None
    except FileNotFoundError:
        return None


def _newest_migration() -> str | None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from sinks.postgres import migrations as folder

    config = Config()
    config.set_main_option("script_location", str(Path(folder.__path__[0])).replace("%", "%%"))
    return ScriptDirectory.from_config(config).get_current_head()


async def _migrated_to(url: str) -> str | None:
    from sinks.postgres.engine import connect, transaction

    engine = connect(url)
    try:
        async with transaction(engine) as connection:
            found = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
            return found.scalar()
    finally:
        await engine.dispose()

"""A migrated database of its own for each test module, on the session's server."""

import asyncio
import uuid
from dataclasses import dataclass
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from alembic import command

from schemas.failpoints import Failpoints
from sinks.postgres.migrate import migrate

NO_FAILPOINTS = Failpoints("projector-1", None)
# Roles belong to the whole server: every test that migrates gives them the same passwords.
PASSWORDS = {"headrace_api": "api", "headrace_sink": "sink"}


@dataclass(frozen=True, slots=True)
class Database:
    """The URLs of one database: as superuser, and as the two roles of the platform."""

    admin: str
    api: str
    sink: str


def fresh(server: str, revision: str = "head") -> Database:
    """Create a new database on the server with this superuser URL and migrate it up to `revision` (blocking)."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(_create(server, name))
    admin = _with(server, path=f"/{name}")
    upgrade = command.upgrade
    with patch.object(command, "upgrade", lambda config, _: upgrade(config, revision)):
        migrate(admin, PASSWORDS)
    api, sink = (_with(admin, user=f"{role}:{password}") for role, password in PASSWORDS.items())
    return Database(admin, api, sink)


async def rows(url: str, query: str, *values: object) -> list[asyncpg.Record]:
    """What a query gives on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()


async def _create(server: str, name: str) -> None:
    await rows(server, f'CREATE DATABASE "{name}"')


def _with(url: str, *, path: str | None = None, user: str | None = None) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = parts.netloc if user is None else f"{user}@{host}"
    return urlunsplit(parts._replace(netloc=netloc, path=parts.path if path is None else path))

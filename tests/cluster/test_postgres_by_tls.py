"""PostgreSQL that lets nobody in without TLS: pool, migration and doctor, and what each refusal says."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from cli import server_checks
from schemas.errors import DependencyDown
from sinks.postgres.engine import answers, connect
from sinks.postgres.migrate import migrate
from tests.cluster.servers import Database

pytestmark = pytest.mark.needs("pg0")
PASSWORDS = {"headrace_api": "api", "headrace_sink": "sink"}


async def _answers(url: str) -> None:
    engine = connect(url)
    try:
        await answers(engine)
    finally:
        await engine.dispose()


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
async def test_each_mode_means_what_it_means_to_libpq(database: Database, mode: str) -> None:
    await _answers(database.by(mode, database.ca if mode.startswith("verify") else None))


def test_migration_and_doctor_check_the_servers_certificate(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database.by("verify-full", database.ca)
    migrate(url, PASSWORDS)
    monkeypatch.setenv("HEADRACE_POSTGRES_ADMIN", url)
    [check] = server_checks.migrations(tmp_path)
    assert check.state == "ok", check.detail
    monkeypatch.setenv("HEADRACE_POSTGRES_ADMIN", database.by("verify-full", database.stranger))
    [check] = server_checks.migrations(tmp_path)
    assert (check.state, "certificate is not trusted" in check.detail) == ("fail", True)
    with pytest.raises(DependencyDown, match="certificate is not trusted"):
        migrate(database.by("verify-full", database.stranger), PASSWORDS)


async def test_another_authority_is_told_as_that(database: Database) -> None:
    with pytest.raises(DependencyDown, match=r"certificate is not trusted \(unable to get local issuer certificate"):
        await _answers(database.by("verify-full", database.stranger))


async def test_a_name_that_the_certificate_lacks_is_told_as_that_and_verify_ca_does_not_mind(
    database: Database,
) -> None:
    def elsewhere(mode: str) -> str:
        return database.by(mode, database.ca).replace("@127.0.0.1:", "@localhost:")

    with pytest.raises(DependencyDown, match=r"not trusted \(Hostname mismatch.*check sslrootcert and the host name"):
        await _answers(elsewhere("verify-full"))
    await _answers(elsewhere("verify-ca"))


async def test_no_encryption_and_a_wrong_password_are_refused_without_a_secret(database: Database) -> None:
    for url, state in (
        (database.by("disable"), "28000"),
        (database.by("require").replace("postgres:", "postgres:not", 1), "28P01"),
    ):
        with pytest.raises(DependencyDown, match=rf"refuses the login \(SQLSTATE {state}\)") as raised:
            await _answers(url)
        assert url.partition(":not")[2][:8] not in str(raised.value) or state == "28000"


async def test_an_authority_that_is_not_there_and_an_unknown_mode_are_told(database: Database) -> None:
    with pytest.raises(DependencyDown, match="check sslrootcert"):
        await _answers(database.by("verify-full", Path("nowhere.pem")))
    with pytest.raises(DependencyDown, match="`sslmode` parameter must be one of"):
        await _answers(database.by("certainly"))


async def test_a_server_without_tls_is_refused_where_tls_is_required(postgres: str) -> None:
    with pytest.raises(DependencyDown, match="rejected SSL upgrade"):
        await _answers(f"{postgres}?sslmode=require")


def test_the_server_itself_refuses_plain_text(database: Database) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        asyncio.run(asyncpg.connect(database.url, ssl=False))

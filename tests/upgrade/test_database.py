"""The last release's database becomes this release's."""

import asyncio
import uuid
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from sinks.postgres.migrate import migrate
from tests.sinks.databases import PASSWORDS, fresh, rows
from tests.upgrade.releases import LAST
from tests.upgrade.schema import dumped

_VERSION = "SELECT version_num FROM alembic_version"


async def test_the_last_releases_schema_upgraded_is_the_schema_made_anew(postgres: str) -> None:
    made = (await asyncio.to_thread(fresh, postgres)).admin  # also makes the roles, which are the server's
    upgraded = await _restored(postgres)
    assert (await rows(upgraded, _VERSION))[0][0] < (await rows(made, _VERSION))[0][0]
    await asyncio.to_thread(migrate, upgraded, PASSWORDS)
    await asyncio.to_thread(migrate, upgraded, PASSWORDS)  # a second operator, or the same one again
    assert await asyncio.to_thread(dumped, upgraded) == await asyncio.to_thread(dumped, made)


async def _restored(server: str) -> str:
    """The URL of a new database that holds the last release's schema, without a row."""
    name = f"last_{uuid.uuid4().hex}"
    await rows(server, f'CREATE DATABASE "{name}"')
    url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    await rows(url, "CREATE EXTENSION vector")
    connection = await asyncpg.connect(url)
    try:
        await connection.execute((LAST / "schema.sql").read_text().replace("CREATE SCHEMA public;", ""))
    finally:
        await connection.close()
    return url

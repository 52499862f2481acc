"""Makes a database what this release needs: extension, roles, tables. Safe to run again, and by several at once."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from sinks.postgres.engine import DRIVER, opener, transaction

OWNER = "headrace_owner"
LOGINS = ("headrace_api", "headrace_sink")
_LOCK = 0x68656164  # any number, the same in every release: migrations run one after the other
_ROLE = """
    SELECT format(CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = CAST(:role AS text))
        THEN 'ALTER ROLE %I %s' ELSE 'CREATE ROLE %I %s' END, CAST(:role AS text), CAST(:options AS text))
        || CASE WHEN CAST(:password AS text) IS NULL THEN '' ELSE format(' PASSWORD %L', CAST(:password AS text)) END
"""


def migrate(admin_url: str, passwords: dict[str, str]) -> None:
    """Create or upgrade everything, in one transaction (blocking; needs a thread without a running event loop).

    `admin_url`, as `engine.connect` takes it, is of a superuser or database owner that may create roles. `passwords`
    are those of the login roles `headrace_api` (reads as one tenant at a time) and `headrace_sink` (writes); a role
    that is not named keeps the one it has. Raises `DependencyDown` when PostgreSQL does not answer or refuses.
    """
    asyncio.run(_migrate(admin_url, passwords))


async def _migrate(admin_url: str, passwords: dict[str, str]) -> None:
    engine = create_async_engine(DRIVER, poolclass=NullPool, async_creator=opener(admin_url))
    try:
        async with transaction(engine) as connection:
            await connection.run_sync(_prepare, passwords)
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _prepare(connection: Connection, passwords: dict[str, str]) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    for role in (OWNER, *LOGINS):
        options = "NOLOGIN" if role == OWNER else "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE"
        values = {"role": role, "options": options, "password": passwords.get(role)}
        connection.exec_driver_sql(str(connection.scalar(text(_ROLE), values)))
    for statement in (
        "CREATE EXTENSION IF NOT EXISTS vector",
        f"GRANT {OWNER} TO CURRENT_USER",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {OWNER}",
        f"GRANT USAGE ON SCHEMA public TO {', '.join(LOGINS)}",
    ):
        connection.exec_driver_sql(statement)


def _upgrade(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL ROLE {OWNER}")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

"""Connections to PostgreSQL, and what its errors mean to a record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from schemas.errors import DependencyDown, HeadraceError, RecordError

RETRY_AFTER = 5.0
_THE_ROWS_FAULT = ("22", "23")  # SQLSTATE classes: data exception, integrity constraint violation
_SERVER_SETTINGS = {
    "application_name": "headrace",
    "statement_timeout": "30s",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
}


def connect(url: str) -> AsyncEngine:
    """A pool of at most 8 connections for a plain `postgresql://user:password@host:port/database` URL.

    Nothing is opened before the first use. A connection that the server closed meanwhile is replaced, not handed out.
    """
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        hide_parameters=True,  # an error's text must not quote a document
        pool_size=4,
        max_overflow=4,
        pool_timeout=5,
        pool_pre_ping=True,
        # The client's own limit stands above the server's: it is for a server that no longer answers at all.
        connect_args={"timeout": 5, "command_timeout": 40, "server_settings": _SERVER_SETTINGS},
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed at the end of the block.

    Raises `RecordError` where PostgreSQL refuses a value, `DependencyDown` for everything else that it says or fails
    to say: a wrong password, a missing table or a deadlock is no record's fault, so records wait.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise _translated(error) from error


async def answers(engine: AsyncEngine) -> None:
    """Return when the server answers this role; raise `DependencyDown` when it does not."""
    async with transaction(engine) as connection:
        await connection.exec_driver_sql("SELECT 1")


def _translated(error: Exception) -> HeadraceError:
    state = getattr(getattr(error, "orig", error), "sqlstate", None) or ""
    if state.startswith(_THE_ROWS_FAULT):
        return RecordError(f"PostgreSQL refuses a value of the record (SQLSTATE {state})")
    said = f"SQLSTATE {state}" if state else type(error).__name__
    return DependencyDown(f"PostgreSQL does not answer ({said})", retry_after=RETRY_AFTER)

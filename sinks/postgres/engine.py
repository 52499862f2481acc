"""Connections to PostgreSQL, and what its errors mean to a record."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from schemas.errors import Contended, DependencyDown, HeadraceError, RecordError

RETRY_AFTER = 5.0
MOST_CONNECTIONS = 8  # of a pool
POOL_SECONDS = 5.0  # to wait for one of them
CALL_SECONDS = 40.0  # above the server's own limit: for a server that no longer answers at all
# Local to the transaction: a pooled connection never carries one caller's tenant to the next.
_AS_TENANT = text("SELECT set_config('headrace.tenant', :tenant, true)")
DRIVER = "postgresql+asyncpg://"
_THE_ROWS_FAULT = ("22", "23")  # SQLSTATE classes: data exception, integrity constraint violation
_LOGIN_REFUSED = "28"
_GAVE_WAY = ("40001", "40P01")  # serialization failure, deadlock: the server chose this transaction as the one to end
# asyncpg calls its own confusion an internal error: a connection that is cut between two of its steps.
FAULTS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises where a server refuses, or says nothing, or a connection breaks."""
SERVER_SETTINGS = {
    "application_name": "headrace",
    "statement_timeout": "30s",
    "lock_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
}


def connect(url: str, *, lazily: bool = False) -> AsyncEngine:
    """A pool of at most 8 connections for a `postgresql://user:password@host:port/database` URL.

    `sslmode`, `sslrootcert`, `sslcert` and `sslkey` in its query mean what they mean to libpq. Nothing is opened
    before the first use. A connection that the server closed meanwhile is replaced, not handed out.

    `lazily`, for who works often and can do the last moments again: a commit does not wait for the disk, and a
    connection that was closed is an error to whoever meets it.
    """
    settings = SERVER_SETTINGS | ({"synchronous_commit": "off"} if lazily else {})
    return create_async_engine(
        DRIVER,
        async_creator=opener(url, command_timeout=CALL_SECONDS, server_settings=settings),
        hide_parameters=True,  # an error's text must not quote a document
        pool_size=4,
        max_overflow=MOST_CONNECTIONS - 4,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=not lazily,
    )


def opener(url: str, **options: Any) -> Callable[[], Awaitable[asyncpg.Connection]]:
    """What opens a connection for SQLAlchemy. asyncpg itself reads the URL, since SQLAlchemy knows no `sslmode`."""
    return partial(asyncpg.connect, url, timeout=5, **options)


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed at the end of the block.

    Raises `RecordError` where PostgreSQL refuses a value, `Contended` where it ended this transaction for another's
    sake, `DependencyDown` for everything else that it says or fails to say: a wrong password or a missing table is no
    record's fault, so records wait.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, *FAULTS) as error:
        raise translated(error) from error


@asynccontextmanager
async def as_tenant(engine: AsyncEngine, tenant: str) -> AsyncIterator[AsyncConnection]:
    """A transaction that sees and changes what `tenant` may, and nothing else; raises as `transaction` does."""
    async with transaction(engine) as connection:
        await connection.execute(_AS_TENANT, {"tenant": tenant})
        yield connection


async def answers(engine: AsyncEngine) -> None:
    """Return when the server answers this role; raise `DependencyDown` when it does not."""
    async with transaction(engine) as connection:
        await connection.exec_driver_sql("SELECT 1")


def down(error: Exception) -> DependencyDown:
    """What the driver's error says where no record can be at fault."""
    return DependencyDown(_reason(error, getattr(error, "sqlstate", None) or ""), retry_after=RETRY_AFTER)


def translated(error: Exception) -> HeadraceError:
    """The driver's error, or SQLAlchemy's around it, in the house's words."""
    wrapped = getattr(error, "orig", None)
    cause = (wrapped.__cause__ or wrapped) if wrapped else error  # SQLAlchemy wraps its own wrapper of asyncpg's error
    state = getattr(cause, "sqlstate", None) or ""
    if state.startswith(_THE_ROWS_FAULT):
        return RecordError(f"PostgreSQL refuses a value of the record (SQLSTATE {state})")
    if state in _GAVE_WAY:
        return Contended(f"the transaction gave way to another one (SQLSTATE {state})", retry_after=RETRY_AFTER)
    return down(cause)


def _reason(error: Exception, state: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"PostgreSQL's certificate is not trusted ({error.verify_message}); check sslrootcert and the host name"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with PostgreSQL ({error.reason})"
    if isinstance(error, FileNotFoundError):
        return "a file that PostgreSQL's URL names is missing; check sslrootcert, sslcert and sslkey"
    if state.startswith(_LOGIN_REFUSED):
        return f"PostgreSQL refuses the login (SQLSTATE {state}); check user, password and sslmode"
    if type(error) in (ConnectionError, asyncpg.ClientConfigurationError):  # asyncpg's own words: no TLS, a bad sslmode
        return f"no connection to PostgreSQL: {error}"
    return f"PostgreSQL does not answer ({f'SQLSTATE {state}' if state else type(error).__name__})"

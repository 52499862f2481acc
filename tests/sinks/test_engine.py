"""What the driver's errors mean to a record."""

import asyncpg
import pytest
from sqlalchemy.exc import SQLAlchemyError

from schemas.errors import DependencyDown
from sinks.postgres.engine import connect, transaction
from tests.sinks.databases import Database


@pytest.mark.parametrize(
    "raised",
    [
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        ConnectionResetError("reset by peer"),
        TimeoutError(),
        SQLAlchemyError("the pool is empty"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_connection_that_breaks_is_no_records_fault(database: Database, raised: Exception) -> None:
    engine = connect(database.sink)
    with pytest.raises(DependencyDown):
        async with transaction(engine):
            raise raised
    await engine.dispose()

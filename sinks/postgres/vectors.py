"""Connections that send pgvector's type as bytes: writing and reading a vector's numbers as text takes longer."""

import asyncpg
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from sinks.postgres.engine import connect


def connect_vectors(url: str) -> AsyncEngine:
    """As `connect`, for statements with parameters of type `vector`, given as `wire` makes them."""
    engine = connect(url)
    event.listen(engine.sync_engine, "connect", _teach)
    return engine


def wire(vector: NDArray[np.float32]) -> bytes:
    """A vector in pgvector's binary form: two bytes of length, two of nothing, big-endian float32."""
    return len(vector).to_bytes(2, "big") + b"\0\0" + vector.astype(">f4").tobytes()


def _teach(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    async def teach(driver: asyncpg.Connection) -> None:
        try:
            await driver.set_type_codec("vector", schema="public", encoder=bytes, decoder=bytes, format="binary")
        except ValueError as error:
            raise asyncpg.InterfaceError("the database has no type public.vector: is it migrated?") from error

    connection.run_async(teach)

"""Calls of functions in the database without SQLAlchemy, for what every caller waits for.

A session of SQLAlchemy with its transaction costs a process some 2 ms of CPU, a call of asyncpg a tenth of that.
"""

import asyncio

import asyncpg

from sinks.postgres.engine import CALL_SECONDS, FAULTS, MOST_CONNECTIONS, POOL_SECONDS, SERVER_SETTINGS, translated

_CLOSE_SECONDS = 2.0


class Calls:
    """A pool of connections, as `engine.connect` makes one, of which each call takes one for one statement.

    What a call sets must be local to its transaction, which is that statement: nothing is reset behind it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None

    async def row(self, statement: str, *values: object) -> asyncpg.Record | None:
        """The first row that a statement answers; raises as `engine.transaction` does."""
        try:
            pool = self._pool or await self._opened()
            async with pool.acquire(timeout=POOL_SECONDS) as connection:
                return await connection.fetchrow(statement, *values)
        except FAULTS as error:
            raise translated(error) from error

    async def close(self) -> None:
        """Let the connections go."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), _CLOSE_SECONDS)
            except TimeoutError:
                self._pool.terminate()

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=MOST_CONNECTIONS,
                    timeout=5,
                    command_timeout=CALL_SECONDS,
                    server_settings=SERVER_SETTINGS,
                    reset=_nothing,
                )
            return self._pool


async def _nothing(_: object) -> None:
    """A round trip less."""

"""One leader among processes of the same kind: whoever holds an advisory lock in PostgreSQL works, the others wait."""

import asyncpg

from schemas.errors import DependencyDown
from sinks.postgres.engine import FAULTS, down

_LOCK = "SELECT pg_try_advisory_lock(hashtext($1), 0)"


class Lead:
    """A connection whose session holds the lock `name` while this process leads.

    Ask at least every `lease_seconds / 2`: a process that hangs loses its session, and so the lock, to the next one.
    The lock is courtesy, not a fence: what a leader does must be right also while another does it.
    """

    def __init__(self, url: str, name: str, lease_seconds: float) -> None:
        self._url = url
        self._name = name
        self._lease = lease_seconds
        self._connection: asyncpg.Connection | None = None
        self._leads = False

    async def held(self) -> bool:
        """Whether this process leads now, trying to; raises `DependencyDown`, after which it does not."""
        try:
            if self._connection is None:
                self._connection = await self._connect()
            if self._leads:
                await self._connection.fetchval("SELECT 1")
            else:
                self._leads = bool(await self._connection.fetchval(_LOCK, self._name))
        except FAULTS as error:
            self.release()
            raise down(error) from error
        return self._leads

    def release(self) -> None:
        """Drop the connection, and the lock with it."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection, self._leads = None, False

    async def _connect(self) -> asyncpg.Connection:
        lease = f"{int(self._lease * 1000)}"
        settings = {"application_name": self._name, "idle_session_timeout": lease, "statement_timeout": lease}
        try:
            return await asyncpg.connect(self._url, timeout=5, command_timeout=self._lease, server_settings=settings)
        except TimeoutError as error:
            raise DependencyDown("PostgreSQL does not answer") from error

"""Advisory locks: one leader at a time, and a session that ends at the server before its process knows."""

import asyncio
from typing import Protocol

from schemas.errors import DependencyDown
from tests.simulation.database import Database
from tests.simulation.log import way
from tests.simulation.loop import Process

LEASE_SECONDS = 2.0


class Holder(Protocol):
    """Whose session holds the lock."""

    process: Process

    def cut(self) -> None:
        """The session ended at the server; the process hears of it when it next runs."""
        ...


class Lead:
    """The advisory lock: who has it, and since when its process has said nothing."""

    def __init__(self) -> None:
        self.holder: Holder | None = None
        self.silent_since: float | None = None

    def watch(self, now: float) -> None:
        """The server ends a session that has been idle for the lease."""
        if self.holder is None:
            return
        if self.holder.process.alive and not self.holder.process.paused:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = now
        elif now - self.silent_since > LEASE_SECONDS or not self.holder.process.alive:
            self.holder.cut()


class SimulatedLead:
    """`sinks.postgres.lead.Lead` over such a lock."""

    def __init__(self, database: Database, lead: Lead, process: Process) -> None:
        self.process = process
        self._database = database
        self._lead = lead
        self._cut = False

    async def held(self) -> bool:
        """Whether this process leads, trying to."""
        await asyncio.sleep(way(self._database.loop))
        if self._database.down or self._cut:
            if self._lead.holder is self:
                self._lead.holder = None
            self._cut = False
            raise DependencyDown("PostgreSQL does not answer")
        if self._lead.holder is None:
            self._lead.holder, self._lead.silent_since = self, None
        return self._lead.holder is self

    def cut(self) -> None:
        """The session ended at the server."""
        self._lead.holder = None
        self._cut = True

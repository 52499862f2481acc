"""The relay's two sides in memory: the outbox under its lock, and sessions of a transactional producer."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from producers.relay_log import Fenced
from schemas.errors import DependencyDown, LogUnavailable
from schemas.ports import OutboxRow, Place
from schemas.records import Outgoing
from schemas.results import RelayPosition
from tests.simulation.database import Connection, Database
from tests.simulation.leads import Lead
from tests.simulation.log import Log, way
from tests.simulation.loop import OUTSIDE, Process


class SimulatedOutbox:
    """`ports.Outbox` over the tables in memory."""

    def __init__(self, database: Database, lead: Lead, process: Process) -> None:
        self.process = process
        self._database = database
        self._lead = lead
        self._news: Callable[[], object] = bool
        self._cut = False
        database.on_commit.append(self._hear)

    @property
    def leads(self) -> bool:
        return self._lead.holder is self

    async def lead(self, news: Callable[[], object]) -> str | None:
        await self._way()
        if self._lead.holder not in (None, self):
            return None
        self._lead.holder, self._lead.silent_since = self, None
        self._news = news
        return "one"

    async def begin(self, position: RelayPosition | None) -> Place:
        await self._way()
        return Place(0, 0) if position is None else Place(position.xid, position.seq)

    async def read(self, after: Place) -> list[OutboxRow]:
        await self._way()
        found = [row for row in self._after(after) if row["xid"] < self._database.xmin]
        rows = sorted(found, key=lambda row: (row["xid"], row["seq"]))
        return [_row(row) for row in rows[: self._database.loop.random.choice((1, 3, 500))]]

    async def held_back(self, after: Place) -> bool:
        await self._way()
        return bool(self._after(after))

    async def backlog(self, after: Place) -> tuple[int, float]:
        return len(self._after(after)), 0.0

    async def prune(self, through: Place) -> bool:
        return False

    async def close(self) -> None:
        if self._lead.holder is self:
            self._lead.holder = None
        self._cut = False

    def cut(self) -> None:
        """The session ended at the server; the process hears of it when it next runs."""
        self._lead.holder = None
        self._cut = True

    def _after(self, after: Place) -> list[dict[str, Any]]:
        return [row for row in self._database.table("outbox").values() if (row["xid"], row["seq"]) > after]

    def _hear(self, connection: Connection) -> None:
        if self.leads and any(table == "outbox" for table, _ in connection.written):
            self._database.loop.outside(way(self._database.loop), OUTSIDE.copy().run, self._news)

    async def _way(self) -> None:
        await asyncio.sleep(way(self._database.loop))
        if self._database.down or self._cut:
            raise DependencyDown("PostgreSQL does not answer")


class SimulatedRelayLog:
    """`RelayLog`: a session whose transactions hold records and position, or neither."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._epoch = 0

    def open(self) -> RelayPosition | None:
        self._reach()
        self._log.relay_epoch += 1
        self._epoch = self._log.relay_epoch
        position: RelayPosition | None = self._log.relay_position
        return position

    def publish(self, records: Sequence[Outgoing], position: RelayPosition, leads: Callable[[], bool]) -> None:
        self._reach()
        if self._epoch != self._log.relay_epoch:
            raise Fenced("another relay has begun")
        if not leads():
            raise DependencyDown("the connection that held the relay's lock is lost")
        lost = self._log.loses > 0 and self._log.loop.random.random() < self._log.loses
        if not lost or self._log.loop.random.random() < 0.5:
            for record in records:
                self._log.append(record)
            self._log.relay_position = position
            self._log.version += 1
        if lost:
            raise LogUnavailable("the answer to the commit was lost")

    def close(self) -> None:
        return

    def _reach(self) -> None:
        if self._log.down:
            raise LogUnavailable("the log does not answer")


def _row(row: dict[str, Any]) -> OutboxRow:
    headers = tuple((name, value.encode()) for name, value in row["headers"])
    record = Outgoing(row["topic"], row["key"].encode(), row["value"].encode(), headers)
    return OutboxRow(Place(row["xid"], row["seq"]), row["tenant"], record)

"""The projector: what the log says of jobs and documents, as rows that a caller can read."""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.documents import DocumentDropped, JobErased
from schemas.failpoints import Failpoints
from schemas.records import Outgoing, Partition
from schemas.work import Task
from sinks.postgres import statements
from sinks.postgres.engine import answers, connect, transaction
from sinks.postgres.rows import bulk
from sinks.projection import project


class Projector:
    """A `Sink` over `headrace.jobs`, `headrace.events` and `headrace.documents`, as role `headrace_sink`.

    Rows are a function of the set of events: their order, their repetition and how batches cut them leave no trace.
    """

    name = "projector"

    def __init__(self, url: str, failpoints: Failpoints) -> None:
        self._engine = connect(url)
        self._failpoints = failpoints

    async def open(self) -> None:
        """Raise `DependencyDown` while PostgreSQL does not answer."""
        await answers(self._engine)

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Store a batch in one transaction; what it has to announce goes into the outbox, so it publishes nothing.

        Raises `RecordError` for a record that is no event of a job or document, `DependencyDown` while PostgreSQL does
        not answer.
        """
        async with transaction(self._engine) as connection:
            if fresh := await self._fresh(connection, tasks):
                await project(connection, fresh)
            await bulk(connection, statements.POSITION, _positions(tasks))
            self._failpoints.reach("sink", str(tasks[0].record))
        return ()

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Note that all that these partitions held before `caught_up_at` (s) is stored."""
        rows = [{"topic": topic, "partition": number, "through": caught_up_at} for topic, number in partitions]
        async with transaction(self._engine) as connection:
            await bulk(connection, statements.POSITION, rows)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    async def _fresh(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Task]:
        """The tasks whose events no batch has stored yet, each event once."""
        unseen = {task.envelope.id: task for task in tasks if not _said_by_us(task)}
        new = await connection.scalars(statements.REMEMBER, {"consumer": self.name, "ids": list(unseen)})
        return [unseen[uuid.UUID(str(found))] for found in new]


def _said_by_us(task: Task) -> bool:
    """Whether the projector itself put the record on the log, for others: its rows know already."""
    payload = task.payload
    return isinstance(payload, JobErased) or (isinstance(payload, DocumentDropped) and payload.reason == "replaced")


def _positions(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """How far each partition is read: what callers may not see yet, and what may be swept."""
    rows: dict[Partition, dict[str, Any]] = {}
    for record in (task.record for task in tasks):
        row = rows.setdefault(record.partition, {"next_offset": 0, "through": 0.0})
        row["next_offset"] = max(row["next_offset"], record.offset + 1)
        row["through"] = max(row["through"], record.at)
    return [{"topic": topic, "partition": number} | row for (topic, number), row in rows.items()]

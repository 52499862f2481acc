"""The dispatcher's two halves in one process: a sink that stores what waits, and the loop that releases it."""

import base64
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from producers.dispatcher import Dispatcher, Parts
from producers.publisher import KafkaPublisher
from schemas import topics
from schemas.documents import JobSubmitted
from schemas.envelope import NAMESPACE
from schemas.errors import RecordError
from schemas.failpoints import Failpoints
from schemas.ports import BlobStore
from schemas.records import Outgoing, Record
from schemas.settings import Settings
from schemas.work import Task
from sinks import redrives
from sinks.blobs import open_blobs
from sinks.loops import Loop
from sinks.postgres import statements
from sinks.postgres import waiting_statements as sql
from sinks.postgres.bell import Bell
from sinks.postgres.engine import answers, connect, transaction
from sinks.postgres.lead import Lead
from sinks.postgres.waiting import WaitingTables, keep

LOCK = "headrace.dispatcher"
DELAY_HEADERS = ("headrace_due", "headrace_topic", "headrace_spread")


class Waiting:
    """A `Sink` over `headrace.jobs`, `headrace.redrives` and `headrace.delayed`: each record waits in a table, once.

    `begin` is called when PostgreSQL answers for the first time; `end` at the end.
    """

    name = "dispatcher"

    def __init__(
        self,
        engine: AsyncEngine,
        blobs: BlobStore,
        failpoints: Failpoints,
        allowance: int,
        begin: Callable[[], object] = lambda: None,
        end: Callable[[], object] = lambda: None,
    ) -> None:
        self._engine = engine
        self._blobs = blobs
        self._failpoints = failpoints
        self._allowance = allowance
        self._begin = begin
        self._end = end

    async def open(self) -> None:
        """Raise `DependencyDown` while PostgreSQL does not answer."""
        await answers(self._engine)
        self._begin()

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Store a batch in one transaction, and ring for who releases; publishes nothing.

        Raises `RecordError` for a record that is none of these, `DependencyDown` while PostgreSQL does not answer.
        """
        async with transaction(self._engine) as connection:
            if fresh := await self._fresh(connection, tasks):
                submitted = [task for task in fresh if isinstance(task.payload, JobSubmitted)]
                await keep(connection, sql.KEEP, map(_job_row, submitted), allowance=self._allowance)
                delayed = [task for task in fresh if task.record.partition.topic == topics.DELAYED.name]
                await keep(connection, sql.DELAY, map(_record_row, delayed))
                orders = [task for task in fresh if task.record.partition.topic == topics.REDRIVES.name]
                await redrives.take(connection, self._blobs, orders)
                await connection.execute(sql.RING)
            self._failpoints.reach("sink", str(tasks[0].record))
        return ()

    async def close(self) -> None:
        """Close the pool."""
        self._end()
        await self._engine.dispose()

    async def _fresh(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Task]:
        """The tasks that were not stored before."""
        unseen = {_id(task): task for task in tasks}
        new = await connection.scalars(statements.REMEMBER, {"consumer": self.name, "ids": list(unseen)})
        return [unseen[uuid.UUID(str(found))] for found in new]


def open_dispatcher(settings: Settings, failpoints: Failpoints, holding: Callable[[float], object]) -> Waiting:
    """Both halves as settings ask; `holding` is called with 1 while nothing is released for want of a dependency."""
    url = settings.postgres.get_secret_value()
    engine = connect(url)
    parts = Parts(
        backlog=WaitingTables(
            connect(url, lazily=True), Lead(url, LOCK, settings.session_seconds), settings.interactive_allowance
        ),
        publisher=KafkaPublisher(settings.broker, settings.publish_seconds),
        failpoints=failpoints,
        weights=settings.weights,
        allowance=settings.interactive_allowance,
        holding=holding,
    )
    dispatcher = Dispatcher(parts)
    hear = dispatcher.hear
    calls = {"headrace_waiting": lambda _: hear("waiting"), "headrace_jobs": lambda _: hear("settled")}
    bell = Bell(url, calls, "headrace-dispatcher-bell")
    loop = Loop("the release loop", dispatcher.run, bell)
    return Waiting(
        engine, open_blobs(settings.blobs), failpoints, settings.interactive_allowance, loop.begin, loop.stop
    )


def _id(task: Task) -> uuid.UUID:
    """What a record is remembered by: a delayed one has the id of what it delays, which may be delayed again."""
    if task.record.partition.topic == topics.DELAYED.name:
        return _delayed_id(task.record)
    return task.envelope.id


def _delayed_id(record: Record) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{record}@{record.at}")


def _job_row(task: Task) -> dict[str, Any]:
    envelope, record = task.envelope, task.record
    return {
        "job": envelope.job,
        "run": envelope.run,
        "tenant": envelope.tenant,
        "lane": envelope.lane,
        "accepted": envelope.at.isoformat(),
        "deadline": envelope.deadline.isoformat() if envelope.deadline else None,
        "headers": [[name, value.decode()] for name, value in record.headers],
        "value": (record.value or b"").decode(),
    }


def _record_row(task: Task) -> dict[str, Any]:
    envelope, record = task.envelope, task.record
    told = {name: value.decode() for name, value in record.headers if name in DELAY_HEADERS}
    own = [[name, value.decode()] for name, value in record.headers if name not in DELAY_HEADERS]
    try:
        due, topic, spread = float(told["headrace_due"]), told["headrace_topic"], told.get("headrace_spread")
        number = None if spread is None else int(spread)
    except (KeyError, ValueError) as error:
        raise RecordError("a delayed record does not say when it is due, or where") from error
    return {
        "id": str(_delayed_id(record)),
        "tenant": envelope.tenant,
        "lane": envelope.lane,
        "job": envelope.job,
        "due": due,
        "topic": topic,
        "key": base64.b64encode(record.key or b"").decode(),
        "headers": own,
        "value": base64.b64encode(record.value or b"").decode(),
        "spread": number,
    }

"""What the dispatcher meets: submissions before it, steps and projector after it."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from producers.dispatcher import Dispatcher, Parts
from schemas import topics
from schemas.codec import decode, encode
from schemas.documents import Claim, DocumentPrepared, JobSubmitted, SliceReleased
from schemas.envelope import Envelope, Lane, new_trace
from schemas.failpoints import Failpoints
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Partition, Record
from schemas.work import Task
from sinks.dispatcher import LOCK, Waiting
from sinks.postgres.engine import connect
from sinks.postgres.lead import Lead
from sinks.postgres.waiting import WaitingTables
from sinks.projector import Projector
from tests.fakes import FakeBlobs, FakePublisher
from tests.sinks.databases import NO_FAILPOINTS, Database, rows
from tests.sinks.events import indexed, read


class World:
    def __init__(self, database: Database, *, allowance: int = 64, failpoints: Failpoints = NO_FAILPOINTS) -> None:
        self.database = database
        self.publisher = FakePublisher()
        self.engine = connect(database.sink)
        self.backlog = WaitingTables(self.engine, Lead(database.sink, LOCK, 10), allowance)
        self.dispatcher = self.another(allowance=allowance, failpoints=failpoints)
        self.waiting = Waiting(self.engine, FakeBlobs(), NO_FAILPOINTS, allowance)
        self.projector = Projector(database.sink, NO_FAILPOINTS)
        self._offset = 0

    def another(self, *, allowance: int = 64, failpoints: Failpoints = NO_FAILPOINTS) -> Dispatcher:
        return Dispatcher(Parts(self.backlog, self.publisher, failpoints, {}, allowance, lambda _: None))

    async def open(self) -> None:
        await self.waiting.open()
        await self.projector.open()

    async def close(self) -> None:
        await self.waiting.close()
        await self.projector.close()

    def submitted(
        self, job: str, *, tenant: str = "demo", lane: Lane = "interactive", run: int = 1, **more: Any
    ) -> Task:
        envelope = Envelope(
            id=uuid.uuid5(uuid.NAMESPACE_OID, f"{job}|{run}"), kind=JobSubmitted.kind(), at=datetime.now(UTC), job=job,
            run=run, part=0, tenant=tenant, plan=DOCUMENT.hash, lane=lane, document=f"doc-{job}",
            traceparent=new_trace(), **more,
        )  # fmt: skip
        source = Claim(key=f"{tenant}/{job}/source", sha256="ab" * 32, size=7)
        return self.task(encode(topics.JOBS.name, envelope, JobSubmitted(source=source, filename="a.pdf")))

    def task(self, record: Outgoing) -> Task:
        self._offset += 1
        read_back = Record(Partition(record.topic, 0), self._offset, 1, record.key, record.value, record.headers, 7.0)
        return Task(*decode(read_back), read_back)

    async def submit(self, *tasks: Task) -> None:
        await self.projector.write(tasks)
        await self.waiting.write(tasks)

    async def turn(self) -> list[Task]:
        """What one turn publishes for the steps and the projector."""
        before = len(self.publisher.published)
        await self.dispatcher.turn()
        new = [record for record in self.publisher.published[before:] if record.topic != topics.LOAD.name]
        return [self.task(record) for record in new]

    async def slices(self) -> list[tuple[str, int, int, str]]:
        """Job, first and last page, and the lane it is worked in, of what a turn releases."""
        found = []
        for task in await self.turn():
            assert isinstance(task.payload, SliceReleased)
            assert task.record.partition.topic == topics.of_lane(topics.PREPARE, task.envelope.lane).name
            found.append((task.envelope.job, task.payload.first, task.payload.last, task.envelope.lane))
        return found

    async def counted(self, task: Task, pages: int, *, whole: bool = False) -> None:
        """prepare has counted the document of this task."""
        payload = DocumentPrepared(pages=pages, media_type="application/pdf", whole=whole)
        envelope = task.envelope.model_copy(update={"id": uuid.uuid4(), "kind": payload.kind()})
        await self.projector.write([self.task(encode(topics.EVENTS.name, envelope, payload))])

    async def done(self, job: Task, *pages: int) -> None:
        """These pages are read and in the index."""
        run, tenant = job.envelope.run, job.envelope.tenant
        for page in pages:
            made = [of(job.envelope.job, page, run=run, tenant=tenant) for of in (read, indexed)]
            named = {"document": job.envelope.document}
            await self.projector.write([replace(t, envelope=t.envelope.model_copy(update=named)) for t in made])

    async def count(self, table: str) -> int:
        (row,) = await rows(self.database.admin, f"SELECT count(*) FROM {table}")
        return int(row[0])

"""Events of jobs as a sink gets them."""

import base64
import itertools
import math
import struct
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from schemas import topics
from schemas.documents import (
    CancelRequested,
    ChunksEmbedded,
    ChunksIndexed,
    Claim,
    DocumentDropped,
    DocumentPrepared,
    EmbeddedChunk,
    EngineStamp,
    JobSubmitted,
    Line,
    PageRead,
    PagesReopened,
    PartFailed,
    PartSkipped,
    Payload,
)
from schemas.envelope import Envelope, new_trace
from schemas.plans import DOCUMENT
from schemas.records import Partition, Record
from schemas.work import Task

STAMP = EngineStamp(name="fake", model="fake", version="1", digest="0" * 16)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
Ending = Callable[[str, int], Task]
_offsets = itertools.count()


def task(job: str, part: int, payload: Payload, *, run: int = 1, tenant: str = "demo", document: str = "") -> Task:
    """A task whose event has the same id whenever it is made of the same words."""
    name = f"{job}|{run}|{part}|{payload.kind()}|{payload.model_dump_json()}"
    envelope = Envelope(
        id=uuid.uuid5(uuid.NAMESPACE_OID, name),
        kind=payload.kind(),
        at=BEGAN + timedelta(seconds=run * 100 + part),
        job=job,
        run=run,
        part=part,
        tenant=tenant,
        plan=DOCUMENT.hash,
        document=document or f"doc-{job}",
        traceparent=new_trace(),
    )
    on = {JobSubmitted: topics.JOBS, DocumentDropped: topics.DOCUMENTS}
    topic = on.get(type(payload), topics.EVENTS).name
    record = Record(Partition(topic, 0), next(_offsets), 1, job.encode(), b"", (), BEGAN.timestamp())
    return Task(envelope, payload, record)


def new_job() -> str:
    """A job id of no one."""
    return f"job_{uuid.uuid4().hex}"


def submitted(job: str, *, run: int = 1, tenant: str = "demo", document: str = "", filename: str = "a.pdf") -> Task:
    source = Claim(key=f"{tenant}/{job}/source", sha256="ab" * 32, size=7)
    return task(job, 0, JobSubmitted(source=source, filename=filename), run=run, tenant=tenant, document=document)


def prepared(job: str, pages: int, *, run: int = 1, tenant: str = "demo") -> Task:
    return task(job, 0, DocumentPrepared(pages=pages, media_type="application/pdf"), run=run, tenant=tenant)


def line(text: str) -> Line:
    return Line(text=text, box=(0, 0, 10, 10), score=0.9)


def read(job: str, page: int, *, run: int = 1, tenant: str = "demo", text: str = "") -> Task:
    payload = PageRead(width=100, height=200, lines=(line(text or f"page {page} run {run}"),), engine=STAMP)
    return task(job, page, payload, run=run, tenant=tenant)


def indexed(job: str, page: int, *, run: int = 1, tenant: str = "demo", index: str = "pgvector") -> Task:
    return task(job, page, ChunksIndexed(index=index, count=1), run=run, tenant=tenant)


def failed(job: str, part: int, *, run: int = 1, code: str = "decode_failed") -> Task:
    return task(job, part, PartFailed(step="ocr", code=code, detail="it broke"), run=run)


def reopened(job: str, *pages: int, run: int) -> Task:
    return task(job, 0, PagesReopened(pages=pages, step="ocr"), run=run)


def cancel(job: str, *, run: int = 1) -> Task:
    return task(job, 0, CancelRequested(), run=run)


def dropped(document: str, through: int, *, reason: Literal["deleted", "replaced"] = "deleted") -> Task:
    """Revisions of a document of tenant `demo` up to `through` are to go."""
    made = about(document, through, task("", 0, DocumentDropped(reason=reason), document=document))[0]
    return replace(made, envelope=made.envelope.model_copy(update={"id": uuid.uuid4()}))


def about(document: str, revision: int, *tasks: Task) -> list[Task]:
    """The same tasks, of a revision of a document."""
    named = {"document": document, "revision": revision}
    return [replace(task, envelope=task.envelope.model_copy(update=named)) for task in tasks]


def skipped(job: str, part: int, reason: str = "cancelled", *, run: int = 1) -> Task:
    return task(job, part, PartSkipped(step="ocr", reason=reason), run=run)


def embedded(
    job: str, page: int, vectors: list[list[float]], *, run: int = 1, tenant: str = "demo", document: str = ""
) -> Task:
    chunks = tuple(
        EmbeddedChunk(index=i, text=f"{job} page {page} chunk {i} run {run}", box=(1, 2, 3, 4), vector=packed(vector))
        for i, vector in enumerate(vectors)
    )
    payload = ChunksEmbedded(width=100, height=200, dimensions=384, chunks=chunks, engine=STAMP)
    return task(job, page, payload, run=run, tenant=tenant, document=document)


def packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def towards(angle: float) -> list[float]:
    """A unit vector in a plane, `angle` radians from the first axis."""
    return [math.cos(angle), math.sin(angle)] + [0.0] * 382

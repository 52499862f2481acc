"""Batches as an index sink gets them: pages of passages that were embedded."""

import base64
import random
import uuid
from datetime import UTC, datetime

import numpy as np

from schemas.documents import ChunksEmbedded, EmbeddedChunk, EngineStamp
from schemas.envelope import Envelope, new_trace
from schemas.plans import DOCUMENT
from schemas.records import Partition, Record
from schemas.topics import VECTORS
from schemas.work import Task

PAGES, PASSAGES, DIMENSIONS = 64, 5, 384
_WORDS = (
    "invoice", "total", "amount", "due", "contract", "party", "section", "clause", "machine", "water", "wheel",
    "stream", "log", "pump", "pressure", "report", "hall", "valve", "turbine", "permit", "inspection", "date", "page",
)  # fmt: skip
_STAMP = EngineStamp(name="bench", model="bench", version="1", digest="0" * 16)


def tasks(number: int) -> list[Task]:
    """The `number`th batch, the same whenever it is made: one job of 64 pages."""
    chance, numbers = random.Random(number), np.random.default_rng(number)
    job = f"job_{number:040d}"
    return [_task(job, page, chance, numbers) for page in range(1, PAGES + 1)]


def _task(job: str, page: int, chance: random.Random, numbers: np.random.Generator) -> Task:
    payload = ChunksEmbedded(
        width=1240,
        height=1754,
        dimensions=DIMENSIONS,
        chunks=tuple(_passage(index, chance, numbers) for index in range(PASSAGES)),
        engine=_STAMP,
    )
    envelope = Envelope(
        id=uuid.uuid5(uuid.NAMESPACE_OID, f"{job}|{page}"),
        kind=payload.kind(),
        at=datetime.now(UTC),
        job=job,
        run=1,
        part=page,
        tenant="demo",
        plan=DOCUMENT.hash,
        document=f"doc-{job}",
        traceparent=new_trace(),
    )
    record = Record(Partition(VECTORS.name, 0), page, 1, job.encode(), b"", (), 0.0)
    return Task(envelope, payload, record)


def _passage(index: int, chance: random.Random, numbers: np.random.Generator) -> EmbeddedChunk:
    vector = numbers.normal(size=DIMENSIONS).astype("<f4")
    vector /= np.linalg.norm(vector)
    return EmbeddedChunk(
        index=index,
        text=" ".join(chance.choices(_WORDS, k=90)),
        language="en",
        box=(100.0, 120.0 * index, 1100.0, 120.0 * index + 110.0),
        boxes=((100.0, 120.0 * index, 1100.0, 120.0 * index + 110.0),),
        vector=base64.b64encode(vector.tobytes()).decode(),
    )

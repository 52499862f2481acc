"""Dead letters as steps write them, and orders about them."""

import itertools
import json
import uuid
from collections.abc import Sequence
from typing import Any

from processors.outcomes import dead_letter
from schemas import topics
from schemas.codec import encode
from schemas.documents import (
    ChunksEmbedded,
    Claim,
    DiscardRequested,
    Edits,
    PageChunked,
    PagePrepared,
    PageRead,
    Payload,
    RedriveRequested,
    SliceReleased,
)
from schemas.envelope import Envelope
from schemas.records import Outgoing, Partition, Record
from schemas.work import Task
from sinks.dead_letters import addressed
from sinks.letter_rows import letter_row
from tests.sinks import events

_offsets = itertools.count(1)
SOURCE = Claim(key="demo/x/source", sha256="ab" * 32, size=7)


def prepared(job: str) -> PagePrepared:
    image = Claim(key=f"demo/{job}/pages/1/1.png", sha256="cd" * 32, size=9)
    return PagePrepared(image=image, width=100, height=200, media_type="image/png")


def payload_of(step: str, job: str) -> tuple[str, Payload]:
    """What lies on the topic that a step reads."""
    return {
        "prepare": (topics.PREPARE.name, SliceReleased(source=SOURCE, filename="a.pdf", last=32)),
        "ocr": (topics.OCR.name, prepared(job)),
        "chunk": (topics.CHUNK.name, PageRead(width=1, height=1, lines=(events.line("read"),), engine=events.STAMP)),
        "embed": (topics.EMBED.name, PageChunked(width=1, height=1, chunks=())),
        "index-pgvector": (
            topics.VECTORS.name,
            ChunksEmbedded(width=1, height=1, dimensions=384, chunks=(), engine=events.STAMP),
        ),
    }[step]


def rejected(step: str, job: str, page: int, *, run: int = 1, tenant: str = "demo", detail: str = "it broke") -> Record:
    """The record on `headrace.dead-letters` that a step's verdict about a page is."""
    topic, payload = payload_of(step, job)
    envelope = events.task(job, page, payload, run=run, tenant=tenant).envelope
    return letter(encode(topic, envelope, payload), step, detail)


def letter(outgoing: Outgoing, step: str, detail: str = "it broke", code: str = "decode_failed") -> Record:
    """What lies on the dead-letter topic of a record that `step` rejected."""
    place = Partition(outgoing.topic, 0)
    record = Record(place, next(_offsets), 1, outgoing.key, outgoing.value, outgoing.headers, 1767225600.0)
    written = dead_letter(record, step, code, detail, 1)
    return Record(
        Partition(topics.DEAD_LETTERS.name, 0),
        next(_offsets),
        1,
        written.key,
        written.value,
        written.headers,
        record.at,
    )


def told(*records: Record) -> list[Task]:
    """The records as the sink gets them."""
    return [Task(*addressed(record), record) for record in records]


def id_of(record: Record) -> uuid.UUID:
    return uuid.UUID(letter_row(record)["id"])


def redrive(*letters: uuid.UUID, tenant: str = "demo", by: str = "test", **edits: Any) -> Task:
    return _order(RedriveRequested(letters=letters, by=by, edits=Edits(**edits)), tenant)


def discard(*letters: uuid.UUID, tenant: str = "demo") -> Task:
    return _order(DiscardRequested(letters=letters, by="test"), tenant)


def _order(payload: Payload, tenant: str) -> Task:
    made = events.task("", 0, payload, tenant=tenant)
    named = {"id": uuid.uuid4(), "document": ""}
    return Task(made.envelope.model_copy(update=named), payload, made.record)


def record_of(row: Any) -> Record:
    """A row of `waiting_records` or `outbox` as it will lie on its topic."""
    headers = json.loads(row["headers"]) if isinstance(row["headers"], str) else row["headers"]
    value = row["value"].encode() if isinstance(row["value"], str) else row["value"]
    pairs: Sequence[tuple[str, bytes]] = [(name, content.encode()) for name, content in headers]
    return Record(Partition(row["topic"], 0), 0, 1, b"", value, tuple(pairs), 0.0)


def envelope(row: Any) -> Envelope:
    return Envelope.from_headers(record_of(row).headers)

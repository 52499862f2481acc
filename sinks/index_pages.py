"""What every index makes of its batch: pages of passages with checked vectors, and documents to drop."""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas import topics
from schemas.codec import follow, index_id
from schemas.documents import Box, ChunksEmbedded, ChunksIndexed, DocumentDropped, JobErased
from schemas.envelope import Envelope
from schemas.errors import ModelOutputInvalid, RecordError
from schemas.records import Outgoing
from schemas.work import Task
from sinks.postgres.rows import cleaned

DIMENSIONS = 384
FORMER_PLANS = frozenset({"0514fcdb67f3f024", "5859d2d171e6fb4b", "d29f0def43e6f1a2"})
"""The plans of 0.1.0."""
_LENGTHS = (1e-6, 1e6)  # outside of them float32 loses a vector's direction when a database multiplies it by another
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage and its vector, 384 numbers of float32."""

    id: uuid.UUID
    chunk: int
    text: str
    language: str
    box: Box | None
    boxes: tuple[Box, ...]
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Page:
    """One page's passages as one run of one job made them; none for a blank page."""

    event: str
    tenant: str
    document: str
    revision: int
    job: str
    run: int
    page: int
    plan: str
    digest: str
    width: int | None
    height: int | None
    passages: tuple[Passage, ...]

    @property
    def place(self) -> uuid.UUID:
        """The same for all that are to replace each other: pages of one number, document and revision."""
        return self._place()

    @property
    def places(self) -> list[uuid.UUID]:
        """All that its place was ever called: until 0.1.0 each plan had one of its own."""
        return [self.place, *(self._place(plan) for plan in sorted({self.plan, *FORMER_PLANS}))]

    def _place(self, *plan: str) -> uuid.UUID:
        named = (self.tenant, self.document, str(self.revision), str(self.page), *plan)
        return uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(named))


@dataclass(frozen=True, slots=True)
class Drop:
    """No passage of the document with a revision up to `through` is to be kept."""

    tenant: str
    document: str
    through: int


def pages_of(tasks: Iterable[Task]) -> list[Page]:
    """The pages of a batch, of several runs of one page the highest.

    Raises `ModelOutputInvalid` for a vector that is no direction in 384 dimensions, `RecordError` for one that is no
    base64 and for a record that is none of an index's.
    """
    pages = [
        _page(task.envelope, task.payload)
        for task in tasks
        if not isinstance(task.payload, DocumentDropped | JobErased)
    ]
    kept: dict[tuple[str, int], Page] = {}
    for page in sorted(pages, key=lambda page: (-page.run, page.event)):
        kept.setdefault((page.job, page.page), page)
    return list(kept.values())


def drops_of(tasks: Iterable[Task]) -> list[Drop]:
    """The documents that a batch drops."""
    found = [task.envelope for task in tasks if isinstance(task.payload, DocumentDropped)]
    return [Drop(envelope.tenant, envelope.document, envelope.revision) for envelope in found]


def confirmations(tasks: Iterable[Task], index: str) -> list[Outgoing]:
    """One `ChunksIndexed` for each page of a batch, blank ones too."""
    return [
        follow(
            topics.EVENTS.name, task.envelope, f"index-{index}",
            ChunksIndexed(index=index, count=len(task.payload.chunks)),
        )
        for task in tasks
        if isinstance(task.payload, ChunksEmbedded)
    ]  # fmt: skip


def direction(vector: ArrayLike) -> NDArray[np.float32]:
    """A vector as float32; raises `ModelOutputInvalid` unless it points somewhere in 384 dimensions."""
    found = np.asarray(vector, dtype=np.float32)
    if found.shape != (DIMENSIONS,):
        raise ModelOutputInvalid(f"a vector has the shape {found.shape}, not ({DIMENSIONS},)")
    least, most = _LENGTHS
    if not least < np.linalg.norm(found.astype(np.float64)) < most:  # what compares with NaN is false
        raise ModelOutputInvalid("a vector is not finite, or (nearly) zero or endless: it has no direction")
    return found


def worded(text: str) -> str:
    """The text's words in small letters, a space between them.

    Cut as Weaviate's tokenization `word` cuts them, and here because PostgreSQL knows the letters of its locale alone.
    """
    return " ".join(_WORD.findall(cleaned(text).lower()))


def _page(envelope: Envelope, payload: object) -> Page:
    if not isinstance(payload, ChunksEmbedded):
        raise RecordError(f"{envelope.kind} holds no vectors")
    digest = payload.engine.digest
    return Page(
        event=str(envelope.id),
        tenant=envelope.tenant,
        document=envelope.document,
        revision=envelope.revision,
        job=envelope.job,
        run=envelope.run,
        page=envelope.part,
        plan=envelope.plan,
        digest=digest,
        width=payload.width,
        height=payload.height,
        passages=tuple(
            Passage(
                id=index_id(envelope, chunk.index, digest),
                chunk=chunk.index,
                text=cleaned(chunk.text),
                language=cleaned(chunk.language),
                box=chunk.box,
                boxes=chunk.boxes,
                vector=_unpacked(chunk.vector),
            )
            for chunk in payload.chunks
        ),
    )


def _unpacked(packed: str) -> NDArray[np.float32]:
    """Base64 of little-endian float32 as numbers."""
    try:
        raw = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError("a vector of the record is not base64") from error
    if len(raw) != 4 * DIMENSIONS:
        raise ModelOutputInvalid(f"a vector has {len(raw)} bytes, not {DIMENSIONS} float32 numbers")
    return direction(np.frombuffer(raw, "<f4"))

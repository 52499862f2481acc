"""Pages and drops as an index gets them."""

import dataclasses
import math
import uuid
from collections.abc import Sequence

from schemas.documents import ChunksEmbedded, DocumentDropped, EmbeddedChunk, JobErased
from schemas.work import Task
from tests.sinks import events

NOW = 1_790_000_000_000_000  # a revision: microseconds since 1970
AHEAD = tuple(events.towards(0))


def tenant() -> str:
    """A tenant of no one."""
    return f"t{uuid.uuid4().hex}"


def passage(
    index: int, text: str, angle: float = 0.1, *, language: str = "", vector: str | None = None
) -> EmbeddedChunk:
    """A passage, `angle` radians off what is searched for."""
    packed = events.packed(events.towards(angle)) if vector is None else vector
    return EmbeddedChunk(
        index=index, text=text, box=(1, 2, 3, 4), boxes=((1, 2, 3, 4),), language=language, vector=packed
    )


def page(
    of: str,
    document: str,
    number: int,
    passages: Sequence[EmbeddedChunk],
    *,
    job: str = "",
    run: int = 1,
    revision: int = NOW,
    width: int | None = 100,
) -> Task:
    """A page as `embed` sends it; `of` is the tenant. Without a job, the document's revision has one of its own."""
    payload = ChunksEmbedded(width=width, height=width, dimensions=384, chunks=tuple(passages), engine=events.STAMP)
    task = events.task(job or f"job_{of}_{document}_{revision}", number, payload, run=run, tenant=of, document=document)
    return _at(task, revision)


def plain(of: str, document: str, number: int, count: int, **more: object) -> Task:
    """A page of `count` passages that say where they stand, each a little further off than the one before."""
    passages = [passage(i, f"{document} page {number} chunk {i}", 0.1 + i / 100) for i in range(count)]
    return page(of, document, number, passages, **more)  # type: ignore[arg-type]


def dropped(of: str, document: str, through: int = NOW) -> Task:
    """The document's owner deleted it."""
    return _at(events.task("", 0, DocumentDropped(reason="deleted"), tenant=of, document=document), through)


def erased(of: str, document: str) -> Task:
    """What is meant for the eraser."""
    return _at(events.task("job_x", 0, JobErased(source="a/b"), tenant=of, document=document), NOW)


def cosine(angle: float) -> float:
    """The score of a passage so far off."""
    return math.cos(angle)


def _at(task: Task, revision: int) -> Task:
    return dataclasses.replace(task, envelope=task.envelope.model_copy(update={"revision": revision}))

"""embed: passages get their vectors."""

import base64
import math
import struct
import time
from collections.abc import Iterator, Sequence

from processors.engines.ports import Embedder
from processors.steps.answers import answer_each
from schemas.codec import follow, page_spread
from schemas.documents import ChunksEmbedded, EmbeddedChunk, PageChunked, Times
from schemas.errors import ModelOutputInvalid
from schemas.plans import PLANS
from schemas.records import Outgoing
from schemas.topics import VECTORS
from schemas.work import Answer, Task

_LENGTH_TOLERANCE = 1e-3


def encode_vector(vector: Sequence[float], dimensions: int) -> str:
    """Base64 of little-endian float32; raises `ModelOutputInvalid` unless finite, normalised and of `dimensions`."""
    length = math.sqrt(sum(value * value for value in vector))
    if len(vector) != dimensions or not abs(length - 1) <= _LENGTH_TOLERANCE:  # NaN fails this too
        raise ModelOutputInvalid("the embedder answered with a vector that is not of length 1")
    return base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()


class Embed:
    """`PageChunked` to `ChunksEmbedded`; the passages of a whole batch go to the embedder at once."""

    name = "embed"

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def load(self) -> None:
        """Load the embedder's model; raises `ModelMissing` where it was not fetched."""
        self._embedder.load()

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task; passages of plans with the same settings go to the embedder at once."""
        begun = time.perf_counter()
        taken: dict[int, list[Sequence[float]]] = {}
        for embedder, own in self._tuned(tasks):
            vectors = iter(embedder.embed([chunk.text for task in own for chunk in _page(task).chunks]))
            taken |= {id(task): [next(vectors) for _ in _page(task).chunks] for task in own}
        seconds = (time.perf_counter() - begun) / max(len(tasks), 1)
        return answer_each(tasks, lambda task: self._answer(task, taken[id(task)], seconds))

    def _tuned(self, tasks: Sequence[Task]) -> Iterator[tuple[Embedder, list[Task]]]:
        plans = {task.envelope.plan for task in tasks}
        for plan in sorted(plans):
            own = [task for task in tasks if task.envelope.plan == plan]
            yield self._embedder.tuned(PLANS[plan].options(self.name)), own

    def _answer(self, task: Task, vectors: Sequence[Sequence[float]], seconds: float) -> Sequence[Outgoing]:
        page, stamp, dimensions = _page(task), self._embedder.stamp, self._embedder.dimensions
        embedded = ChunksEmbedded(
            width=page.width,
            height=page.height,
            dimensions=dimensions,
            chunks=tuple(
                EmbeddedChunk(**chunk.model_dump(), vector=encode_vector(vector, dimensions))
                for chunk, vector in zip(page.chunks, vectors, strict=True)
            ),
            engine=stamp,
            times=Times(queued=task.queued, run=seconds),
        )
        digests = (PLANS[task.envelope.plan].digest(self.name), stamp.digest)
        spread = page_spread(task.envelope.job, task.envelope.part)
        return [follow(VECTORS.name, task.envelope, self.name, embedded, digests=digests, spread=spread)]


def _page(task: Task) -> PageChunked:
    assert isinstance(task.payload, PageChunked)
    return task.payload

"""ocr: a page picture becomes lines of text."""

import time
from collections.abc import Sequence

from processors.engines.ports import Reader
from processors.steps.answers import answer_each
from processors.steps.reading_order import ordered_lines
from schemas.codec import follow, page_spread
from schemas.documents import PagePrepared, PageRead, Times
from schemas.plans import PLANS
from schemas.ports import BlobStore
from schemas.records import Outgoing
from schemas.topics import CHUNK, EVENTS
from schemas.work import Answer, Task


class Ocr:
    """`PagePrepared` to `PageRead`, for the next step and for the projector: one event, one id, two topics."""

    name = "ocr"

    def __init__(self, reader: Reader, blobs: BlobStore) -> None:
        self._reader = reader
        self._blobs = blobs

    def load(self) -> None:
        """Load the reader's models."""
        self._reader.load()

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task; raises `DependencyDown` when the blob store does not answer."""
        return answer_each(tasks, self._read)

    def _read(self, task: Task) -> Sequence[Outgoing]:
        page = task.payload
        assert isinstance(page, PagePrepared)
        picture = self._blobs.read(page.image)
        begun = time.perf_counter()
        found = self._reader.read(picture, page.width, page.height)
        lines = ordered_lines(found, page.width, page.height)
        stamp = self._reader.stamp
        times = Times(queued=task.queued, run=time.perf_counter() - begun)
        read = PageRead(width=page.width, height=page.height, lines=lines, engine=stamp, times=times)
        digests = (PLANS[task.envelope.plan].digest(self.name), stamp.digest)
        spread = page_spread(task.envelope.job, task.envelope.part)
        forward = follow(CHUNK.name, task.envelope, self.name, read, digests=digests, spread=spread)
        return [forward, follow(EVENTS.name, task.envelope, self.name, read, digests=digests)]

"""Steps whose work is drawn beforehand: each page comes to the fate that the plan says."""

from collections import Counter
from collections.abc import Callable, Sequence

from schemas import topics
from schemas.codec import follow, page_spread
from schemas.documents import (
    ChunksEmbedded,
    Claim,
    DocumentPrepared,
    EngineStamp,
    Line,
    PagePrepared,
    PageRead,
    SliceReleased,
)
from schemas.errors import DecodeFailed, HeadraceError
from schemas.records import Outgoing
from schemas.work import Answer, Task
from tests.simulation.loop import Died

CLAIM = Claim(key="anna/job/source", sha256="ab" * 32, size=7)
STAMP = EngineStamp(name="drawn", model="drawn", version="1", digest="0" * 16)
PICTURE = PagePrepared(image=CLAIM, width=10, height=10, media_type="image/png")
LATER_SECONDS = 31.0
"""So long a wait that a record waits with the dispatcher, and not in its worker."""
_TEXT = (Line(text="drawn", score=1),)

Made = Callable[[str, Task, Sequence[Outgoing]], None]


class Prepare:
    """Counts pages, as the plan has them."""

    name = "prepare"

    def __init__(self, pages: Callable[[str], int], made: Made) -> None:
        self._pages = pages
        self._made = made

    def load(self) -> None:
        """Nothing."""

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        answers = []
        for task in tasks:
            assert isinstance(task.payload, SliceReleased)
            job = task.envelope.job
            pages = self._pages(job)
            records = [
                follow(
                    topics.of_lane(topics.OCR, task.envelope.lane).name, task.envelope, "prepare", PICTURE,
                    part=page, spread=page_spread(job, page),
                )
                for page in range(task.payload.first, min(pages, task.payload.last) + 1)
            ]  # fmt: skip
            if task.payload.first == 1:
                counted = DocumentPrepared(pages=pages, media_type="application/pdf")
                records.append(follow(topics.EVENTS.name, task.envelope, "prepare", counted))
            self._made(self.name, task, records)
            answers.append(records)
        return answers


class Read:
    """Reads a page: well, after some failures, never, or so that its worker dies of it."""

    name = "ocr"

    def __init__(
        self, fate: Callable[[str, int, int], str], failed: dict[str, int], died: Counter[str], made: Made
    ) -> None:
        self._fate = fate
        self._failed = failed
        self._died = died
        self._made = made

    def load(self) -> None:
        """Nothing."""

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        return [self._read(task) for task in tasks]

    def _read(self, task: Task) -> Answer:
        name, envelope = str(task.envelope.id), task.envelope
        fate = self._fate(envelope.job, envelope.part, envelope.run)
        if fate == "poison":
            self._died[str(task.record)] += 1
            raise Died
        if fate == "refused":
            return DecodeFailed()
        if fate == "broken":
            return HeadraceError("broken until mended")
        if fate == "later" and name not in self._failed:
            self._failed[name] = 1
            return HeadraceError("much later", retry_after=LATER_SECONDS)
        if fate in ("slow", "twice") and self._failed.get(name, 0) < (1 if fate == "slow" else 2):
            self._failed[name] = self._failed.get(name, 0) + 1
            return HeadraceError("not yet")
        read = PageRead(lines=_TEXT, engine=STAMP)
        vectors = ChunksEmbedded(dimensions=384, chunks=(), engine=STAMP)
        records = [
            follow(topics.EVENTS.name, envelope, "ocr", read),
            follow(topics.VECTORS.name, envelope, "ocr", vectors, spread=page_spread(envelope.job, envelope.part)),
        ]
        self._made(self.name, task, records)
        return records

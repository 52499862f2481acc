"""ocr: a page picture becomes lines of text in reading order, and blocks."""

import io
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

from PIL import Image

from processors.engines.ports import LayoutFinder, Reader
from processors.steps.answers import answer_each
from processors.steps.findings import found_lines, found_regions
from processors.steps.reading_order import ordered_page
from processors.steps.text_layer import good_layer
from schemas.codec import follow, page_spread
from schemas.documents import EngineStamp, Line, Origin, PagePrepared, PageRead, TextLayer, Times
from schemas.errors import DecodeFailed
from schemas.plans import PLANS
from schemas.ports import BlobStore
from schemas.records import Outgoing
from schemas.topics import CHUNK, EVENTS
from schemas.work import Answer, Task


class Ocr:
    """`PagePrepared` to `PageRead`, for the next step and for the projector: one event, one id, two topics.

    A page whose own text is good is not read by OCR: its lines are those of the text.
    """

    name = "ocr"

    def __init__(self, reader: Reader, layout: LayoutFinder, blobs: BlobStore) -> None:
        self._reader = reader
        self._layout = layout
        self._blobs = blobs

    def load(self) -> None:
        """Load the models; raises `ModelMissing` where they were not fetched."""
        self._reader.load()
        self._layout.load()

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task; raises `DependencyDown` when the blob store does not answer."""
        return answer_each(tasks, self._read)

    def _read(self, task: Task) -> Sequence[Outgoing]:
        page = task.payload
        assert isinstance(page, PagePrepared)
        image = page_picture(self._blobs.read(page.image), page.width, page.height)
        begun = time.perf_counter()
        taken = good_layer(page.layers)
        plan = PLANS[task.envelope.plan]
        origin, found, stamp = (
            _held(taken) if taken else _seen(self._reader.tuned(plan.options(self.name)), page, image)
        )
        regions = found_regions(self._layout.regions(image), page.width, page.height)
        lines, blocks = ordered_page(found, regions, page.width, page.height)
        read = PageRead(
            width=page.width,
            height=page.height,
            image=page.image,
            origin=origin,
            lines=lines,
            blocks=blocks,
            layers=tuple(layer for layer in page.layers if layer is not taken),
            engine=stamp,
            times=Times(queued=task.queued, run=time.perf_counter() - begun),
        )
        # The layout model's digest too: blocks and order are its work.
        digests = (plan.digest(self.name), f"{stamp.digest}+{self._layout.stamp.digest}")
        spread = page_spread(task.envelope.job, task.envelope.part)
        forward = follow(CHUNK.name, task.envelope, self.name, read, digests=digests, spread=spread)
        return [forward, follow(EVENTS.name, task.envelope, self.name, read, digests=digests)]


def page_picture(png: bytes, width: int, height: int) -> Image.Image:
    """A stored page picture in mode L or RGB; raises `DecodeFailed` unless it is a whole PNG of that size."""
    try:
        image = Image.open(io.BytesIO(png), formats=("PNG",))
        if image.size != (width, height) or image.mode not in ("L", "RGB"):
            raise DecodeFailed("the page's stored picture is not the one that was prepared")
        image.load()
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
        raise DecodeFailed("the page's stored picture is damaged") from error
    return image


def _seen(reader: Reader, page: PagePrepared, image: Image.Image) -> tuple[Origin, Sequence[Line], EngineStamp]:
    return "ocr", found_lines(reader.read(image), page.width, page.height), reader.stamp


def _held(layer: TextLayer) -> tuple[Origin, Sequence[Line], EngineStamp]:
    return "text_layer", layer.lines, _pdfium()


@cache
def _pdfium() -> EngineStamp:
    """What read the text of a PDF: no weights, so its release stands for a digest."""
    release = version("pypdfium2")
    return EngineStamp(name="pdfium", model="text layer", version=release, digest=f"pypdfium2 {release}")

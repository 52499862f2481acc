"""prepare: a document becomes page pictures, or sections of text where it has none."""

import io
from collections.abc import Callable, Sequence

from PIL import Image

from processors.decoding.decoder import Decoder
from processors.decoding.limits import Limits
from processors.decoding.pages import PicturePage, TextPage
from processors.engines.ports import Orienter
from processors.steps.answers import answer_each
from processors.steps.sections import section_read
from processors.steps.text_layer import good_layer, judge, runs_level, turned
from processors.steps.upright import Upright, quarter_turned, upright
from schemas.codec import follow, page_spread, submission_id
from schemas.documents import DocumentPrepared, Line, PagePrepared, Payload, SliceReleased, TextLayer, Times
from schemas.envelope import Envelope
from schemas.media import DOCUMENTS, GIF, PNG, WEBP, media_type
from schemas.pages import picture_key, prepared_key
from schemas.plans import PLANS
from schemas.ports import BlobStore
from schemas.records import Outgoing
from schemas.settings import Settings
from schemas.topics import CHUNK, EVENTS, OCR, of_lane
from schemas.work import Answer, Task

WHOLE = frozenset({*DOCUMENTS, GIF, WEBP})
"""Media whose pages all go on with the first slice: a later one would cost all that stands before it once more."""


class Prepare:
    """`SliceReleased` to a record for each of its pages, that of page 1 to one `DocumentPrepared` as well.

    A picture is set upright, stored without its metadata, and goes on as `PagePrepared`; a section of a document
    without pictures has been read already, and goes on as `PageRead`. `on_death` is called for each decoding child that
    died.
    """

    name = "prepare"

    def __init__(
        self, orienter: Orienter, blobs: BlobStore, settings: Settings, on_death: Callable[[], None] = lambda: None
    ) -> None:
        self._orienter = orienter
        self._blobs = blobs
        self._decoder = Decoder(Limits.of(settings), on_death)

    def load(self) -> None:
        """Load the model and start the decoding child; raises `DependencyDown` when that does not come up."""
        self._orienter.load()
        self._decoder.start()

    def run(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """One answer a task; raises `DependencyDown` when the blob store does not answer."""
        return answer_each(tasks, self._prepare)

    def close(self) -> None:
        """End the decoding child."""
        self._decoder.close()

    def _prepare(self, task: Task) -> Sequence[Outgoing]:
        payload = task.payload
        assert isinstance(payload, SliceReleased)
        content = self._blobs.read(payload.source)
        media = media_type(content)
        whole = media in WHOLE
        if whole and payload.first > 1:
            return []
        envelope, dpi = _of_document(task), PLANS[task.envelope.plan].options(self.name)["dpi"]
        records: list[Outgoing] = []
        for page in self._decoder.pages(content, media, dpi, payload.first, None if whole else payload.last):
            records += self._picture(envelope, page) if isinstance(page, PicturePage) else self._section(task, page)
        if payload.first > 1:
            return records
        prepared = DocumentPrepared(pages=self._decoder.count, media_type=self._decoder.media_type, whole=whole)
        return [self._follow(EVENTS.name, envelope, prepared, 0), *records]

    def _picture(self, envelope: Envelope, page: PicturePage) -> list[Outgoing]:
        image = Image.frombytes(page.mode, (page.width, page.height), page.pixels)
        layers = judge(page.layer, image)
        stood = self._stood(image, layers)
        place = (envelope.tenant, envelope.job, envelope.run, page.number)
        prepared = PagePrepared(
            image=self._blobs.put(picture_key(*place), _png(stood.image)),
            width=stood.image.width,
            height=stood.image.height,
            media_type=PNG,
            turned=stood.turned,
            skew=stood.skew,
            layers=tuple(_moved(layer, stood, image) for layer in layers),
        )
        self._blobs.put(prepared_key(*place), prepared.model_dump_json().encode())  # what a resumed job begins from
        topic = of_lane(OCR, envelope.lane).name
        return [self._follow(topic, envelope, prepared, page.number, spread=page_spread(envelope.job, page.number))]

    def _stood(self, image: Image.Image, layers: Sequence[TextLayer]) -> Upright:
        taken = good_layer(layers)
        if taken is None:
            return upright(image, self._orienter)
        degrees = 0 if runs_level(taken) else self._orienter.turn(image).degrees
        return Upright(quarter_turned(image, degrees), degrees, 0.0)

    def _section(self, task: Task, section: TextPage) -> list[Outgoing]:
        envelope, number = _of_document(task), section.number
        read = section_read(section, self._decoder.media_type, Times(queued=task.queued))
        forward = self._follow(CHUNK.name, envelope, read, number, spread=page_spread(envelope.job, number))
        return [forward, self._follow(EVENTS.name, envelope, read, number)]

    def _follow(
        self, topic: str, envelope: Envelope, payload: Payload, part: int, *, spread: int | None = None
    ) -> Outgoing:
        digests = (PLANS[envelope.plan].digest(self.name), self._orienter.stamp.digest)
        return follow(topic, envelope, self.name, payload, part=part, digests=digests, spread=spread)


def _of_document(task: Task) -> Envelope:
    """The envelope that a document's pages follow: that of its submission, so that no cut changes their ids."""
    assert isinstance(task.payload, SliceReleased)
    envelope = task.envelope
    named = submission_id(envelope.job, task.payload.source.sha256, envelope.run)
    return envelope.model_copy(update={"id": named})


def _moved(layer: TextLayer, stood: Upright, image: Image.Image) -> TextLayer:
    """The layer as it lies on the picture that is kept; without boxes where that was levelled."""
    if not stood.skew:
        return turned(layer, stood.turned, image.width, image.height)
    return TextLayer(verdict=layer.verdict, lines=tuple(Line(text=line.text, score=line.score) for line in layer.lines))


def _png(image: Image.Image) -> bytes:
    """The pixels and nothing else: what a camera or an author left in the file ends here."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()

"""prepare: a document becomes page pictures, or sections of text where it has none."""

import io
from collections.abc import Callable, Sequence

from PIL import Image
from pydantic import TypeAdapter

from processors.decoding.decoder import Decoder
from processors.decoding.limits import Limits
from processors.decoding.pages import PicturePage, TextPage
from processors.engines.ports import Orienter
from processors.steps.answers import answer_each
from processors.steps.sections import section_read
from processors.steps.text_layer import good_layer, judge, runs_level, turned
from processors.steps.upright import Upright, quarter_turned, upright
from schemas.codec import follow, page_spread, submission_id
from schemas.documents import DocumentPrepared, Line, PagePrepared, PageRead, Payload, SliceReleased, TextLayer, Times
from schemas.envelope import Envelope
from schemas.media import DOCUMENTS, GIF, PNG, WEBP, media_type
from schemas.pages import picture_key, prepared_key, sections_key
from schemas.plans import PLANS
from schemas.ports import BlobStore
from schemas.records import Outgoing
from schemas.settings import Settings
from schemas.topics import CHUNK, EVENTS, OCR, of_lane
from schemas.work import Answer, Task

WHOLE = frozenset({GIF, WEBP})
"""Media whose pages all go on with the first slice: a later one would cost all that stands before it once more."""
_SECTIONS = TypeAdapter(list[PageRead])


class Prepare:
    """`SliceReleased` to a record for each of its pages, that of page 1 to one `DocumentPrepared` as well.

    A picture is set upright, stored without its metadata, and goes on as `PagePrepared`; a section of a document
    without pictures has been read already, and goes on as `PageRead`: such a document is parsed once, and its sections
    are stored for the slices after the first. `on_death` is called for each decoding child that died.
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
        envelope = _of_document(task)
        key = sections_key(envelope.tenant, envelope.job, envelope.run)
        if payload.first > 1 and (stored := self._blobs.find(key)) is not None:
            return self._sections(task, _SECTIONS.validate_json(stored))
        content = self._blobs.read(payload.source)
        media = media_type(content)
        if media in DOCUMENTS:
            sections = self._parsed(content, media)
            if payload.last < len(sections):
                self._blobs.put(key, _SECTIONS.dump_json(sections))
            records = self._sections(task, sections)
        else:
            records = self._pictures(payload, envelope, content, media)
        if payload.first > 1:
            return records
        counted = DocumentPrepared(pages=self._decoder.count, media_type=self._decoder.media_type, whole=media in WHOLE)
        return [self._follow(EVENTS.name, envelope, counted, 0), *records]

    def _pictures(self, payload: SliceReleased, envelope: Envelope, content: bytes, media: str) -> list[Outgoing]:
        last: int | None = payload.last
        if media in WHOLE:
            if payload.first > 1:
                return []
            last = None
        pages = self._decoder.pages(content, media, _dpi(envelope), payload.first, last)
        return [record for page in pages if isinstance(page, PicturePage) for record in self._picture(envelope, page)]

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

    def _parsed(self, content: bytes, media: str) -> list[PageRead]:
        pages = self._decoder.pages(content, media, dpi=0)
        return [section_read(page, self._decoder.media_type, Times()) for page in pages if isinstance(page, TextPage)]

    def _sections(self, task: Task, reads: Sequence[PageRead]) -> list[Outgoing]:
        """The records of the slice's sections, of which `reads` are all."""
        payload, envelope = task.payload, _of_document(task)
        assert isinstance(payload, SliceReleased)
        records = []
        for number in range(payload.first, min(payload.last, len(reads)) + 1):
            read = reads[number - 1].model_copy(update={"times": Times(queued=task.queued)})
            spread = page_spread(envelope.job, number)
            records.append(self._follow(CHUNK.name, envelope, read, number, spread=spread))
            records.append(self._follow(EVENTS.name, envelope, read, number))
        return records

    def _follow(
        self, topic: str, envelope: Envelope, payload: Payload, part: int, *, spread: int | None = None
    ) -> Outgoing:
        digests = (PLANS[envelope.plan].digest(self.name), self._orienter.stamp.digest)
        return follow(topic, envelope, self.name, payload, part=part, digests=digests, spread=spread)


def _dpi(envelope: Envelope) -> int:
    dpi: int = PLANS[envelope.plan].options("prepare")["dpi"]
    return dpi


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

"""The records of the `document` pipeline, each a past participle, each versioned.

Boxes are `[x0, y0, x1, y1]` in pixels of the upright page image, origin top left; `width` and `height` of that image
always stand beside them. A document that is text to begin with (office files, HTML, e-mail) has no page images: there
a page is a section of it, and boxes, width and height are None.
"""

import uuid
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Pixel = Annotated[float, Field(allow_inf_nan=False)]
Box = tuple[Pixel, Pixel, Pixel, Pixel]


class Payload(BaseModel):
    """A record's value. Unknown fields are ignored, so that version N reads what N+1 added."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    major: ClassVar[int] = 1

    @classmethod
    def kind(cls) -> str:
        """The CloudEvents type, such as `headrace.PageRead.v1`."""
        return f"headrace.{cls.__name__}.v{cls.major}"


class Claim(BaseModel):
    """A ticket for bytes in the blob store: the record stays small, the bytes stay checkable."""

    model_config = ConfigDict(frozen=True)

    key: str = Field(max_length=512)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class EngineStamp(BaseModel):
    """Which engine and which weights made a result."""

    model_config = ConfigDict(frozen=True)

    name: str
    model: str
    version: str
    digest: str


class Times(BaseModel):
    """Seconds a part waited for its step and seconds the step worked on it."""

    model_config = ConfigDict(frozen=True)

    queued: float = 0
    run: float = 0


class JobSubmitted(Payload):
    """A caller's document was stored and accepted. A later run's says nothing of metadata and tags: they stay.

    `submitted_by` is the id of the API key that it was submitted with, if it was with one that has an id.
    """

    source: Claim
    filename: str = Field(default="", max_length=255)
    pipeline: str = "document"
    metadata: dict[str, str] | None = None
    tags: tuple[str, ...] | None = None
    submitted_by: str | None = None


class SliceReleased(Payload):
    """Pages `first` to `last` of a submitted document may be worked on now; `last` may lie beyond its end.

    The slice that begins with page 1 also counts the document's pages.
    """

    source: Claim
    filename: str = Field(default="", max_length=255)
    pipeline: str = "document"
    first: int = Field(default=1, ge=1)
    last: int = Field(ge=1)


class DocumentPrepared(Payload):
    """The document's pages were counted: the job now knows how many leaves it waits for.

    `whole`: all of them have gone on already, however few the slice asked for.
    """

    pages: int = Field(ge=1)
    media_type: str
    whole: bool = False


class Line(BaseModel):
    """One line of text found on a page; `score` 1 where nothing had to be guessed."""

    model_config = ConfigDict(frozen=True)

    text: str
    box: Box | None = None
    score: Score


class TextLayer(BaseModel):
    """Text that a PDF itself holds for a page, and what it was judged to be.

    `good`: what the eye sees; `partial`: right, but the page shows much text beyond it; `garbage`: drawn, but its
    characters are not those that the eye sees; `invisible`: there, but nothing of it is drawn.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Literal["good", "partial", "garbage", "invisible"]
    lines: tuple[Line, ...]


class PagePrepared(Payload):
    """One page's picture stands upright in the blob store.

    `turned` and then `skew`: by how many degrees clockwise we turned the sender's picture to make it stand.
    """

    image: Claim
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    media_type: str
    turned: Literal[0, 90, 180, 270] = 0
    skew: float = Field(default=0, ge=-45, le=45, allow_inf_nan=False)
    layers: tuple[TextLayer, ...] = ()


Origin = Literal["ocr", "text_layer", "document"]
"""Where a page's lines come from: read off its picture, held by the PDF, or the document is text to begin with."""

BlockKind = Literal["heading", "text", "table", "figure", "caption", "header", "footer", "reference", "equation"]


class Block(BaseModel):
    """Lines that belong together, by their indices, in reading order; a figure may have none.

    A table's `rows` are its lines row by row, each row from left to right.
    """

    model_config = ConfigDict(frozen=True)

    kind: BlockKind
    box: Box | None = None
    score: Score = 1
    lines: tuple[int, ...] = ()
    rows: tuple[tuple[int, ...], ...] = ()


class PageRead(Payload):
    """One page was read: its lines in reading order, and the blocks that they form.

    `layers` keeps the text layers of the page that were not taken for its text.
    """

    width: int | None = Field(default=None, ge=1)
    height: int | None = Field(default=None, ge=1)
    image: Claim | None = None
    origin: Origin = "ocr"
    lines: tuple[Line, ...]
    blocks: tuple[Block, ...] = ()
    layers: tuple[TextLayer, ...] = ()
    engine: EngineStamp
    times: Times = Times()

    @property
    def text(self) -> str:
        """The page's text, a line each."""
        return "\n".join(line.text for line in self.lines)


class Chunk(BaseModel):
    """A passage of one page: the box around it, and one box for each piece of the page that it was taken from.

    `language`: ISO 639-1, empty where the passage does not tell.
    """

    model_config = ConfigDict(frozen=True)

    index: int = Field(ge=0)
    text: str
    box: Box | None = None
    boxes: tuple[Box, ...] = ()
    language: str = ""


class PageChunked(Payload):
    """One page's text was cut into passages (none, for a blank page)."""

    width: int | None = Field(default=None, ge=1)
    height: int | None = Field(default=None, ge=1)
    chunks: tuple[Chunk, ...]


class EmbeddedChunk(Chunk):
    """A passage and its vector: base64 of little-endian float32, L2-normalised."""

    vector: str


class ChunksEmbedded(Payload):
    """One page's passages got their vectors."""

    width: int | None = Field(default=None, ge=1)
    height: int | None = Field(default=None, ge=1)
    dimensions: int = Field(ge=1)
    chunks: tuple[EmbeddedChunk, ...]
    engine: EngineStamp
    times: Times = Times()


class ChunksIndexed(Payload):
    """An index holds the page's passages: a search by the same caller finds them from now on."""

    index: str
    count: int = Field(ge=0)


class PartFailed(Payload):
    """A part can not be done: `part` 0 of the envelope fails the document, any other that page."""

    step: str
    code: str
    detail: str = Field(max_length=500)


class PartSkipped(Payload):
    """A part was not worked on because its job was cancelled or its deadline has passed."""

    step: str
    reason: str


class PagesReopened(Payload):
    """Pages that did not succeed are worked on again from `step` on, as the envelope's run; all others keep theirs.

    The run is above every run of the job. All of these pages are named at once, so that the job does not end before
    the last of them.
    """

    pages: tuple[int, ...] = Field(min_length=1)
    step: str


class CancelRequested(Payload):
    """A caller wants the job's present run stopped; what obeys is the order on `headrace.control`."""


class DocumentDropped(Payload):
    """Nothing of the document with a revision up to the envelope's is to be kept.

    `deleted`: by its owner, everywhere; `replaced`: a newer revision succeeded, so searches are to find that alone.
    """

    reason: Literal["deleted", "replaced"]


class Edits(BaseModel):
    """What is to be different when dead letters are tried again.

    `settings`: by step, settings that replace those of its plan; `payload`: the whole payload, for one letter alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: dict[str, dict[str, Any]] = {}
    payload: dict[str, Any] | None = None


class RedriveRequested(Payload):
    """Dead letters are to be worked on again, each as its part's next run. `by`: whose key or hand it was."""

    letters: tuple[uuid.UUID, ...] = Field(min_length=1, max_length=1000)
    edits: Edits = Edits()
    by: str = Field(default="", max_length=255)


class DiscardRequested(Payload):
    """Dead letters are not to be tried again: nobody is to be shown them as open any more."""

    letters: tuple[uuid.UUID, ...] = Field(min_length=1, max_length=1000)
    by: str = Field(default="", max_length=255)


class ResumeRequested(Payload):
    """The pages of a job that did not succeed are to be worked on again from `step` on, each as its next run.

    What earlier steps made of them is stored and used again.
    """

    step: Literal["ocr", "chunk"]
    by: str = Field(default="", max_length=255)


class JobErased(Payload):
    """The bytes of a job of a deleted document are to be erased: its upload, and all below its folder."""

    source: str = Field(max_length=512)


PAYLOADS: dict[str, type[Payload]] = {
    payload.__name__: payload
    for payload in (
        JobSubmitted, SliceReleased, DocumentPrepared, PagePrepared, PageRead, PageChunked, ChunksEmbedded,
        ChunksIndexed, PartFailed, PartSkipped, PagesReopened, CancelRequested, DocumentDropped, JobErased,
        RedriveRequested, DiscardRequested, ResumeRequested,
    )
}  # fmt: skip

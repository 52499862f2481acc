"""The records of the `document` pipeline, each a past participle, each versioned.

Boxes are `[x0, y0, x1, y1]` in pixels of the upright page image, origin top left; `width` and `height` of that image
always stand beside them.
"""

from typing import Annotated, ClassVar

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
    """A caller's document was stored and accepted."""

    source: Claim
    filename: str = Field(default="", max_length=255)
    pipeline: str = "document"


class DocumentPrepared(Payload):
    """The document's pages were counted: the job now knows how many leaves it waits for."""

    pages: int = Field(ge=1)
    media_type: str


class PagePrepared(Payload):
    """One page was rendered upright; its picture lies in the blob store."""

    image: Claim
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    media_type: str


class Line(BaseModel):
    """One line of text found on a page."""

    model_config = ConfigDict(frozen=True)

    text: str
    box: Box
    score: Score


class PageRead(Payload):
    """One page was read: its lines in reading order."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    lines: tuple[Line, ...]
    engine: EngineStamp
    times: Times = Times()

    @property
    def text(self) -> str:
        """The page's text, a line each."""
        return "\n".join(line.text for line in self.lines)


class Chunk(BaseModel):
    """A passage of one page, with the box around its lines."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(ge=0)
    text: str
    box: Box


class PageChunked(Payload):
    """One page's text was cut into passages (none, for a blank page)."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
    chunks: tuple[Chunk, ...]


class EmbeddedChunk(Chunk):
    """A passage and its vector: base64 of little-endian float32, L2-normalised."""

    vector: str


class ChunksEmbedded(Payload):
    """One page's passages got their vectors."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)
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


PAYLOADS: dict[str, type[Payload]] = {
    payload.__name__: payload
    for payload in (
        JobSubmitted, DocumentPrepared, PagePrepared, PageRead, PageChunked, ChunksEmbedded, ChunksIndexed, PartFailed,
        PartSkipped,
    )
}  # fmt: skip

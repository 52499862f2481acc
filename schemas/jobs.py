"""A job: its states, the transitions between them, and what a caller is shown of it."""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from schemas.documents import Block, Box, EngineStamp, Line, Origin, TextLayer, Times
from schemas.envelope import Lane
from schemas.given import NO_CONTROLS, Moment, Whole
from schemas.labels import MOST_TAGS, StoredMetadata, StoredTags, Tag
from schemas.paging import PageQuery


class JobState(StrEnum):
    """Where a job stands. All but `queued` and `running` are terminal until a redrive or retry begins a new run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TERMINAL = frozenset(JobState) - {JobState.QUEUED, JobState.RUNNING}

S = JobState
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    S.QUEUED: frozenset({S.RUNNING, S.SUCCEEDED, S.PARTIAL, S.FAILED, S.CANCELLED, S.EXPIRED}),
    S.RUNNING: frozenset({S.SUCCEEDED, S.PARTIAL, S.FAILED, S.CANCELLED, S.EXPIRED}),
    S.SUCCEEDED: frozenset(),
    S.PARTIAL: frozenset({S.RUNNING, S.QUEUED}),  # redrive, retry: only with a higher run
    S.FAILED: frozenset({S.QUEUED}),  # retry: only with a higher run
    S.CANCELLED: frozenset({S.QUEUED}),
    S.EXPIRED: frozenset({S.QUEUED}),
}


def allowed(old: JobState, new: JobState, *, run_rises: bool = False) -> bool:
    """Whether a job may go from `old` to `new`; leaving a terminal state takes a higher run."""
    return new in TRANSITIONS[old] and (old not in TERMINAL or run_rises)


def reaches(old: JobState, new: JobState, *, run_rises: bool = False) -> bool:
    """Whether a job in `old` may arrive at `new` by allowed transitions.

    One batch may hold a whole further run, so a terminal state may be left through the state that reopens it, and even
    be arrived at again.
    """
    if allowed(old, new, run_rises=run_rises):
        return True
    return old in TERMINAL and run_rises and any(new in TRANSITIONS[reopened] for reopened in TRANSITIONS[old])


def fate(kinds: Collection[str], needs: frozenset[str]) -> str:
    """What the kinds of events known of one page mean: `indexed`, `failed`, `skipped`, `read` or `queued`.

    Kinds are `read`, `indexed:<index>`, `failed`, `skipped:<reason>`; `needs` are those that make a page done. A page
    that is done stays so whatever else is said of it: a repeat of the same work may have been refused or cancelled.
    """
    if needs.issubset(kinds):
        return "indexed"
    if "failed" in kinds:
        return "failed"
    if any(kind.startswith("skipped:") for kind in kinds):
        return "skipped"
    return "read" if "read" in kinds else "queued"


def needs(indexes: Iterable[str]) -> frozenset[str]:
    """The kinds that make a page done: it was read, and every index that its plan requires holds it."""
    return frozenset({"read", *(f"indexed:{index}" for index in indexes)})


class Tally(BaseModel):
    """What PostgreSQL counts of a job's parts in their current runs (rows, never increments).

    `pages` is None until `DocumentPrepared`. `indexed`, `failed` and `skipped` count pages by their `fate`; `expired`
    counts those of `skipped` that only a deadline stopped. `runs` says how far runs have risen in what the verdict
    speaks of: the document's run, then the sum of its pages' repeats. It is compared as a tuple.
    """

    model_config = ConfigDict(frozen=True)

    pages: int | None = None
    read: int = 0
    indexed: int = 0
    failed: int = 0
    skipped: int = 0
    expired: int = 0
    document_failed: bool = False
    document_skipped: JobState | None = None
    begun: bool = False
    runs: tuple[int, int] = (1, 0)


def judge(tally: Tally) -> JobState:
    """The state that a tally means: the one rule of fan-in, a pure function so that every interleaving ends alike."""
    if tally.document_failed:
        return JobState.FAILED
    if tally.document_skipped is not None:
        return tally.document_skipped
    if tally.pages is None or tally.indexed + tally.failed + tally.skipped < tally.pages:
        return JobState.RUNNING if tally.begun else JobState.QUEUED
    if tally.skipped:
        return JobState.EXPIRED if tally.expired == tally.skipped else JobState.CANCELLED
    if tally.failed == 0:
        return JobState.SUCCEEDED
    return JobState.FAILED if tally.failed >= tally.pages else JobState.PARTIAL


class Failure(BaseModel):
    """One thing that went wrong: which page (0 for the document), in which step, with its stable code."""

    page: int
    step: str
    code: str
    detail: str


class PageProgress(BaseModel):
    """How far one page has come."""

    page: int
    state: str = Field(description="queued, read, indexed, failed or skipped")


class QueuePlace(BaseModel):
    """Where a waiting job stands. The times are estimates from the present load; null while its speed is unknown.

    A document that is not counted yet is expected to be as long as those of its tenant that were counted last.
    """

    pages_ahead: int = Field(description="Pages, of all tenants, that will be released before its next one.")
    starts_in_seconds: float | None = Field(
        default=None, description="Until its next page is released to be worked on."
    )
    ends_in_seconds: float | None = Field(default=None, description="Until its last page is done.")


class JobView(BaseModel):
    """`GET /v1/jobs/{id}`. `projected_through`: everything accepted before this moment is in this answer."""

    id: str
    state: JobState
    cancelling: bool = False
    run: int = 1
    document_id: str | None = None
    revision: int | None = Field(default=None, description="Microseconds since 1970 when it was accepted.")
    pipeline: str = "document"
    filename: str | None = None
    metadata: StoredMetadata = {}
    tags: StoredTags = ()
    deadline: AwareDatetime | None = None
    deleted: bool = Field(default=False, description="Its document was deleted: no result is kept.")
    pages_total: int | None = None
    pages_done: int = 0
    pages: list[PageProgress] = []
    errors: list[Failure] = []
    queue: QueuePlace | None = Field(default=None, description="Null where nothing of it waits to be released.")
    created_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    projected_through: AwareDatetime | None = None


_NO_PICTURE = "Pixels; null for a document that is text to begin with: no page pictures, so no boxes."


def picture_path(job: str, page: int) -> str:
    """The API path of a page's upright picture."""
    return f"/v1/jobs/{job}/pages/{page}/image"


class PageResult(BaseModel):
    """What was read on one page. Boxes: pixels of the upright page image, origin top left, `[x0, y0, x1, y1]`."""

    page: int
    width: int | None = Field(default=None, description=_NO_PICTURE)
    height: int | None = Field(default=None, description=_NO_PICTURE)
    origin: Origin = Field(default="ocr", description="Where the lines come from.")
    image: str | None = Field(
        default=None, description="Path of the upright page picture (PNG) on this server; null where there is none."
    )
    text: str
    lines: list[Line]
    blocks: list[Block] = []
    layers: list[TextLayer] = Field(default=[], description="Text layers that were not taken for the page's text.")
    plan: str = Field(default="", description="The plan that made it: the job's, unless it was redriven with another.")
    engine: EngineStamp
    times: Times


class JobResult(BaseModel):
    """`GET /v1/jobs/{id}/result`."""

    id: str
    state: JobState
    document_id: str
    document_sha256: str
    revision: int
    plan: str
    pages: list[PageResult]
    errors: list[Failure] = []


class JobSummary(BaseModel):
    """A job in a list: what `JobView` says without its pages and errors."""

    id: str
    state: JobState
    cancelling: bool = False
    run: int = 1
    document_id: str
    revision: int
    pipeline: str = "document"
    lane: Lane
    filename: str | None = None
    metadata: StoredMetadata = {}
    tags: StoredTags = ()
    deleted: bool = False
    pages_total: int | None = None
    created_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class JobList(BaseModel):
    """`GET /v1/jobs`: a page of a list. `next`: the cursor that `after` takes for the following page."""

    data: list[JobSummary]
    has_more: bool
    next: str | None = None
    projected_through: AwareDatetime | None = None


class JobFilter(BaseModel):
    """What jobs have in common. `tag`: all of these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: tuple[JobState, ...] = ()
    document_id: Annotated[str, Field(max_length=256), NO_CONTROLS] | None = None
    lane: Lane | None = None
    tag: Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS)] = ()
    since: Moment | None = None
    until: Moment | None = None


class JobQuery(JobFilter, PageQuery):
    """What a list of jobs is to hold. `order`: newest first, by acceptance or by end (then ended jobs only).

    `since` and `until` are of whichever that is.
    """

    order: Literal["created_at", "finished_at"] = "created_at"


JobEventKind = Literal[
    "job.queued", "job.running", "job.cancelling", "document.prepared", "page.read", "page.succeeded", "page.failed",
    "page.skipped", "job.succeeded", "job.partial", "job.failed", "job.cancelled", "job.expired",
]  # fmt: skip
ENDS: frozenset[str] = frozenset(f"job.{state}" for state in TERMINAL)
"""Kinds of the last event of a run."""


class JobEvent(BaseModel):
    """One line of a job's story. `seq` counts from 1 within the job, without gaps, the same on every server.

    `data` by kind: `pages` of `document.prepared`; `code`, `step`, `detail` of `page.failed`; else nothing.
    """

    seq: int
    event: JobEventKind
    run: int
    page: int | None = None
    at: AwareDatetime
    data: dict[str, Any] = {}


class DocumentView(BaseModel):
    """A document by its caller's id. `current` is the revision that searches find, null before one has succeeded."""

    document_id: str
    revision: int = Field(description="The newest submitted: microseconds since 1970 when it was accepted.")
    job: str = Field(description="Its job.")
    state: JobState
    current: int | None = None
    filename: str | None = None
    created_at: AwareDatetime | None = None


class DocumentList(BaseModel):
    """`GET /v1/documents`, newest first."""

    data: list[DocumentView]
    has_more: bool
    next: str | None = None


class DocumentDeletion(BaseModel):
    """`DELETE /v1/documents/{id}`: accepted; revisions up to `through` go from every index and store."""

    document_id: str
    through: int


SearchMode = Literal["vector", "keyword", "hybrid"]
MOST_PAGES = 1_000_000
"""The highest number of a page that a document may have."""


def _at_most_one_beyond(page: int) -> int:
    """No document has such a page, and databases take numbers of some size only: nothing is found, as asked."""
    return min(page, MOST_PAGES + 1)


class SearchRequest(BaseModel):
    """`POST /v1/search`. `vector` finds by meaning, `keyword` by words, `hybrid` by both."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=2000)
    mode: SearchMode = "vector"
    limit: Whole = Field(default=10, ge=1, le=100)
    document_id: Annotated[str, Field(max_length=256), NO_CONTROLS] | None = None
    language: str | None = Field(default=None, pattern=r"^[a-z]{2}$", description="ISO 639-1.")
    page: Annotated[Whole, Field(ge=1), AfterValidator(_at_most_one_beyond)] | None = None


class SearchHit(BaseModel):
    """A passage, where it stands, and how well it fits.

    `score`: cosine for `vector` (1 is the same direction); else comparable within one answer only, higher is better.
    """

    document_id: str
    revision: int
    job: str
    page: int
    chunk: int
    text: str
    language: str = Field(default="", description="ISO 639-1; empty where the passage does not tell.")
    box: Box | None = Field(description="Around the whole passage; null where the document has no page pictures.")
    boxes: list[Box] = Field(default=[], description="One for each piece of the page that the passage is taken from.")
    image_width: int | None = Field(description=_NO_PICTURE)
    image_height: int | None = Field(description=_NO_PICTURE)
    score: float


class SearchResponse(BaseModel):
    """The answer to a search, best first."""

    query: str
    hits: list[SearchHit]

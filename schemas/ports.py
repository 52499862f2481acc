"""The ports: what the house asks of the world. Each says whether it answers, by `ping()`."""

import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from schemas.dead_letters import (
    CauseList,
    Chosen,
    LetterAction,
    LetterFilter,
    LetterList,
    LetterQuery,
    LetterState,
    LetterSummary,
)
from schemas.documents import Claim, EngineStamp
from schemas.envelope import Lane
from schemas.job_choice import ChosenJobs
from schemas.jobs import (
    DocumentList,
    DocumentView,
    JobEvent,
    JobList,
    JobQuery,
    JobResult,
    JobState,
    JobView,
    PageResult,
    SearchHit,
    SearchMode,
)
from schemas.keys import ApiKey, KeyEntry, KeyList
from schemas.paging import PageQuery
from schemas.records import Outgoing, Record
from schemas.results import RelayPosition
from schemas.timeline import JobTimeline, TimelineQuery


class Pingable(Protocol):
    """Something that may be down."""

    async def ping(self) -> None:
        """Return when it answers; raise `DependencyDown` when it does not."""
        ...


class Publisher(Pingable, Protocol):
    """Puts records on topics."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return when the log has confirmed every record (`acks=all`); raise `LogUnavailable` otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A key of a blob store, a draft's too, and when its bytes were last written."""

    key: str
    at: datetime


class BlobStore(Pingable, Protocol):
    """Bytes by key. What `put` and `write` return from is durable."""

    async def write(self, key: str, content: AsyncIterator[bytes], *, limit: int) -> Claim:
        """Stream `content` in, counting and hashing; raise `TooLarge` past `limit` bytes and keep nothing."""
        ...

    def put(self, key: str, content: bytes) -> Claim:
        """Store bytes at once (blocking)."""
        ...

    def read(self, claim: Claim) -> bytes:
        """The bytes of a claim (blocking), checked against its sha256; raises `DecodeFailed` or `BlobMissing`."""
        ...

    def find(self, key: str) -> bytes | None:
        """The bytes at a key that nobody holds a claim of (blocking), None where there are none."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key; forgetting an unknown one is no error."""
        ...

    async def delete_below(self, folder: str) -> None:
        """Forget every key that begins with `folder` and a slash; none is no error."""
        ...

    def listed(self) -> AsyncIterator[Sequence[StoredBlob]]:
        """Every key, drafts included, some hundred at a time and in any order; raises `DependencyDown`."""
        ...


@dataclass(frozen=True, slots=True)
class Query:
    """A search: its words, and their vector (finite float32, L2-normalised), which `keyword` does not need."""

    text: str
    vector: tuple[float, ...] = ()
    mode: SearchMode = "vector"
    limit: int = 10
    document_id: str | None = None
    language: str | None = None
    page: int | None = None


class VectorSearch(Pingable, Protocol):
    """The reading half of a vector index."""

    async def search(self, tenant: str, query: Query) -> list[SearchHit]:
        """The passages of one tenant that fit best, best first; raises `DependencyDown`."""
        ...


@dataclass(frozen=True, slots=True)
class Submission:
    """What a job's row keeps of how it was submitted, and where it stands.

    `prepared`: the document's run, where its pages were counted in it and nothing stopped the document as a whole.
    """

    state: JobState
    run: int
    source: Claim | None
    filename: str
    document_id: str
    revision: int
    plan: str
    lane: Lane
    deadline: datetime | None
    deleted: bool
    prepared: int | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is left of a waiting job, and what of its own tenant's lane stands before it; all in pages.

    `counted`: whether `pages` is more than the one that stands for a document not counted yet. `uncounted_ahead`:
    such documents among what stands before it.
    """

    lane: Lane
    ahead: int
    pages: int
    counted: bool
    uncounted_ahead: int = 0


class JobReader(Pingable, Protocol):
    """What the projector has written, as one tenant may see it."""

    async def job(self, tenant: str, job: str) -> JobView | None:
        """The job's view, or None where no row is (yet, or any more)."""
        ...

    async def backlog(self, tenant: str, job: str) -> Backlog | None:
        """What of the job waits to be released, None where nothing does."""
        ...

    async def result(self, tenant: str, job: str) -> JobResult | None:
        """The pages read so far, or None where no row is."""
        ...

    async def picture(self, tenant: str, job: str, page: int) -> Claim | None:
        """The upright picture of a page that was read, or None where there is none (yet)."""
        ...

    async def page(self, tenant: str, job: str, page: int) -> PageResult | None:
        """What was read on one page in its current run, or None where nothing was (yet)."""
        ...

    async def jobs(self, tenant: str, query: JobQuery) -> JobList:
        """A page of the tenant's jobs; raises `BadRequest` for a cursor that is none of ours."""
        ...

    async def chosen(
        self, tenant: str, chosen: ChosenJobs, states: Collection[JobState], most: int
    ) -> list[tuple[str, Submission]]:
        """The jobs that are meant and stand in one of `states`, oldest first, at most `most`.

        Left out are those that are being cancelled already, or whose document was deleted.
        """
        ...

    async def submission(self, tenant: str, job: str) -> Submission | None:
        """What the job was submitted as, for running it again; None where no row is."""
        ...

    async def events(self, tenant: str, job: str, after: int, limit: int) -> list[JobEvent]:
        """The job's events with a `seq` above `after`, in order."""
        ...

    async def timeline(self, tenant: str, job: str, query: TimelineQuery) -> JobTimeline:
        """The attempts of the job's steps; raises `BadRequest` for a cursor that is none of ours."""
        ...

    async def document(self, tenant: str, document: str) -> DocumentView | None:
        """A document that was submitted and not deleted since."""
        ...

    async def documents(self, tenant: str, after: str | None, limit: int) -> DocumentList:
        """A page of the tenant's documents, newest first; raises `BadRequest` for a cursor that is none of ours."""
        ...

    async def projected_through(self) -> datetime | None:
        """The low-water time: everything accepted before it is projected. None before the first projection."""
        ...


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter whole: `record` is the one that was rejected, at its own place on the log."""

    summary: LetterSummary
    record: Record
    story: Sequence[JobEvent]
    audit: Sequence[LetterAction]


class ChosenLetter(NamedTuple):
    """A dead letter that an order means."""

    id: uuid.UUID
    plan: str
    kind: str
    state: LetterState


class LetterReader(Protocol):
    """Dead letters, as one tenant may see them."""

    async def letters(self, tenant: str, query: LetterQuery) -> LetterList:
        """A page of the tenant's letters, newest first; raises `BadRequest` for a cursor that is none of ours."""
        ...

    async def causes(self, tenant: str, where: LetterFilter) -> CauseList:
        """The tenant's open letters by what went wrong, the most frequent first."""
        ...

    async def letter(self, tenant: str, letter: uuid.UUID) -> StoredLetter | None:
        """One letter whole, or None where this tenant has no such."""
        ...

    async def chosen(self, tenant: str, chosen: Chosen, most: int) -> Sequence[ChosenLetter]:
        """The letters that are meant, at most `most`: those named in any state, of the others only open ones."""
        ...


class KeyStore(Protocol):
    """API keys of one tenant at a time; what is changed is told to all API processes. All raise `DependencyDown`."""

    async def create(self, tenant: str, identifier: str, key: KeyEntry, name: str, by: str) -> ApiKey:
        """Keep a new key; raises `TooManyKeys`."""
        ...

    async def keys(self, tenant: str, query: PageQuery) -> KeyList:
        """A page of the tenant's keys; raises `BadRequest` for a cursor that is none of ours."""
        ...

    async def key(self, tenant: str, identifier: str) -> ApiKey | None:
        """One key, None where this tenant has no such."""
        ...

    async def rotate(self, tenant: str, identifier: str, sha256: str, overlap: timedelta) -> ApiKey | None:
        """Give a key that stands a new secret; the one before it is good for `overlap` more, any older one no more.

        None where this tenant has no such key; raises `KeyEnded` for one that no longer stands.
        """
        ...

    async def revoke(self, tenant: str, identifier: str) -> ApiKey | None:
        """End a key for good; None where this tenant has no such key."""
        ...

    async def used(self, tenant: str, last: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        ...


class Taken(NamedTuple):
    """What a key stands for: the id of a job that is ours to publish, or the answer that was given before."""

    job: str = ""
    answer: str = ""


class Submissions(Protocol):
    """Submissions by `Idempotency-Key`: one row a tenant and key, before anything is published.

    All raise `DependencyDown`.
    """

    async def take(self, tenant: str, key: str, fingerprint: str, job: str) -> Taken:
        """Take a key for `job`, or for the job that it was taken for before and that may not have been published.

        Raises `IdempotencyKeyReused` where it stands for another payload, `IdempotencyInProgress` while another
        request publishes.
        """
        ...

    async def done(self, tenant: str, key: str, job: str, answer: str) -> None:
        """The job is on the log; from now on repeats are given this answer."""
        ...

    async def give_up(self, tenant: str, key: str, job: str) -> None:
        """The job may not be on the log."""
        ...


class TextEmbedder(Protocol):
    """Text to vector, for queries. All is blocking (CPU), and the first use loads the model."""

    @property
    def stamp(self) -> EngineStamp:
        """Which engine and weights answer."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads; the rest is cut off."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text before anything is cut off, those that the model adds included."""
        ...

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One L2-normalised vector a text."""
        ...


class Place(NamedTuple):
    """Where a row stands in an outbox: the transaction that wrote it, its number. Rows are relayed in this order."""

    xid: int
    seq: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row of an outbox: one record of one tenant, to be published as it is."""

    place: Place
    tenant: str
    record: Outgoing


class Outbox(Protocol):
    """Records that transactions have left to be published, read by one process at a time; all raise `DependencyDown`.

    Where that is raised, `close` and begin again with `lead`: somebody else may lead by now.
    """

    @property
    def leads(self) -> bool:
        """Whether this process still leads, as far as it knows (any thread may ask)."""
        ...

    async def lead(self, news: Callable[[], object]) -> str | None:
        """The incarnation of the database once this process leads, None while another does: then ask again.

        From then on `news` is called when rows were committed, and when the leadership is lost.
        """
        ...

    async def begin(self, position: RelayPosition | None) -> Place:
        """Where to go on from `position`; the beginning where it says nothing about this database."""
        ...

    async def read(self, after: Place) -> list[OutboxRow]:
        """The next rows in order, at most some hundred and some MiB; no later row can ever come before them."""
        ...

    async def held_back(self, after: Place) -> bool:
        """Whether rows are committed that `read` does not give yet, as an older transaction has not ended."""
        ...

    async def backlog(self, after: Place) -> tuple[int, float]:
        """How many rows wait, and the age of the oldest in seconds."""
        ...

    async def prune(self, through: Place) -> bool:
        """Forget some of the rows up to `through` that are old enough; whether there may be more."""
        ...

    async def close(self) -> None:
        """Give the lead up."""
        ...

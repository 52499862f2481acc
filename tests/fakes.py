"""The ports in memory, for unit tests of the doors alone."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.parts import Parts
from producers.lag import GroupLag
from schemas.control import LoadReport
from schemas.dead_letters import CauseList, Chosen, LetterFilter, LetterList, LetterQuery
from schemas.documents import Claim, EngineStamp
from schemas.errors import DependencyDown, LogUnavailable, TooLarge
from schemas.ids import JobIds
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
)
from schemas.ports import Backlog, ChosenLetter, Query, StoredLetter, Submission
from schemas.records import Outgoing
from schemas.settings import Settings
from schemas.timeline import JobTimeline, PartTimeline, TimelineQuery
from sinks.webhooks.signing import Signer
from tests.fake_keys import FakeEntries, FakeKeys
from tests.fake_submissions import FakeSubmissions
from tests.fake_webhooks import FakeWebhooks, NoCheck

KEYS = {"demo-key": "demo", "other-key": "other"}


@dataclass
class FakePublisher:
    published: list[Outgoing] = field(default_factory=list)
    down: bool = False

    async def publish(self, records: Sequence[Outgoing]) -> None:
        await self.ping()
        self.published.extend(records)

    async def ping(self) -> None:
        if self.down:
            raise LogUnavailable(retry_after=3)


@dataclass
class FakeBlobs:
    kept: dict[str, bytes] = field(default_factory=dict)
    down: bool = False

    async def write(self, key: str, content: AsyncIterator[bytes], *, limit: int) -> Claim:
        await self.ping()
        whole = bytearray()
        async for chunk in content:
            whole += chunk
            if len(whole) > limit:
                raise TooLarge(f"the file is larger than {limit} bytes")
        return self.put(key, bytes(whole))

    def put(self, key: str, content: bytes) -> Claim:
        self.kept[key] = content
        return Claim(key=key, sha256=hashlib.sha256(content).hexdigest(), size=len(content))

    def read(self, claim: Claim) -> bytes:
        return self.kept[claim.key]

    def find(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def delete_below(self, folder: str) -> None:
        for key in [key for key in self.kept if key.startswith(f"{folder}/")]:
            del self.kept[key]

    async def ping(self) -> None:
        if self.down:
            raise DependencyDown("the blob store does not answer")


@dataclass
class FakeJobs:
    views: dict[tuple[str, str], JobView] = field(default_factory=dict)
    results: dict[tuple[str, str], JobResult] = field(default_factory=dict)
    pictures: dict[tuple[str, str, int], Claim] = field(default_factory=dict)
    pages: dict[tuple[str, str, int], PageResult] = field(default_factory=dict)
    submissions: dict[tuple[str, str], Submission] = field(default_factory=dict)
    stories: dict[tuple[str, str], list[JobEvent]] = field(default_factory=dict)
    timelines: dict[tuple[str, str], list[PartTimeline]] = field(default_factory=dict)
    kept: dict[tuple[str, str], DocumentView] = field(default_factory=dict)
    asked: list[JobQuery] = field(default_factory=list)
    backlogs: dict[tuple[str, str], Backlog] = field(default_factory=dict)
    through: datetime | None = None
    down: bool = False
    reads: int = 0
    story_reads: int = 0
    late: JobView | None = None

    async def job(self, tenant: str, job: str) -> JobView | None:
        await self.ping()
        self.reads += 1
        if self.late is not None and self.reads > 1:
            return self.late
        return self.views.get((tenant, job))

    async def backlog(self, tenant: str, job: str) -> Backlog | None:
        await self.ping()
        return self.backlogs.get((tenant, job))

    async def result(self, tenant: str, job: str) -> JobResult | None:
        await self.ping()
        return self.results.get((tenant, job))

    async def picture(self, tenant: str, job: str, page: int) -> Claim | None:
        await self.ping()
        return self.pictures.get((tenant, job, page))

    async def page(self, tenant: str, job: str, page: int) -> PageResult | None:
        await self.ping()
        return self.pages.get((tenant, job, page))

    async def chosen(
        self, tenant: str, chosen: ChosenJobs, states: Collection[JobState], most: int
    ) -> list[tuple[str, Submission]]:
        await self.ping()
        own = [(job, known) for (owner, job), known in self.submissions.items() if owner == tenant]
        meant = [(job, known) for job, known in own if not chosen.jobs or job in chosen.jobs]
        return [(job, known) for job, known in meant if known.state in states and not known.deleted][:most]

    async def jobs(self, tenant: str, query: JobQuery) -> JobList:
        await self.ping()
        self.asked.append(query)
        return JobList(data=[], has_more=False, projected_through=self.through)

    async def submission(self, tenant: str, job: str) -> Submission | None:
        await self.ping()
        return self.submissions.get((tenant, job))

    async def events(self, tenant: str, job: str, after: int, limit: int) -> list[JobEvent]:
        await self.ping()
        self.story_reads += 1
        return [event for event in self.stories.get((tenant, job), ()) if event.seq > after][:limit]

    async def timeline(self, tenant: str, job: str, query: TimelineQuery) -> JobTimeline:
        await self.ping()
        told = [each for each in self.timelines.get((tenant, job), []) if query.page in (None, each.page)]
        return JobTimeline(data=told, has_more=False)

    async def document(self, tenant: str, document: str) -> DocumentView | None:
        await self.ping()
        return self.kept.get((tenant, document))

    async def documents(self, tenant: str, after: str | None, limit: int) -> DocumentList:
        await self.ping()
        found = [view for (owner, _), view in self.kept.items() if owner == tenant]
        return DocumentList(data=found[:limit], has_more=False)

    async def projected_through(self) -> datetime | None:
        await self.ping()
        return self.through

    async def ping(self) -> None:
        if self.down:
            raise DependencyDown("PostgreSQL does not answer", retry_after=2)


@dataclass
class FakeLetters:
    kept: dict[tuple[str, uuid.UUID], StoredLetter] = field(default_factory=dict)
    down: bool = False

    async def letters(self, tenant: str, query: LetterQuery) -> LetterList:
        await self.ping()
        found = [letter.summary for (owner, _), letter in self.kept.items() if owner == tenant]
        return LetterList(data=found[: query.limit], has_more=False)

    async def causes(self, tenant: str, where: LetterFilter) -> CauseList:
        await self.ping()
        return CauseList(data=[])

    async def letter(self, tenant: str, letter: uuid.UUID) -> StoredLetter | None:
        await self.ping()
        return self.kept.get((tenant, letter))

    async def chosen(self, tenant: str, chosen: Chosen, most: int) -> list[ChosenLetter]:
        await self.ping()
        own = [letter.summary for (owner, _), letter in self.kept.items() if owner == tenant]
        meant = [one for one in own if (one.id in chosen.letters if chosen.letters else one.state == "open")]
        return [ChosenLetter(one.id, one.plan, one.kind, one.state) for one in meant[:most]]

    async def ping(self) -> None:
        if self.down:
            raise DependencyDown("PostgreSQL does not answer", retry_after=2)


@dataclass
class FakeBell:
    """Rings when a test says so."""

    listening: bool = True
    bells: list[asyncio.Event] = field(default_factory=list)

    def start(self) -> None:
        return

    @contextmanager
    def watch(self, job: str) -> Iterator[asyncio.Event]:
        self.bells.append(bell := asyncio.Event())
        try:
            yield bell
        finally:
            self.bells.remove(bell)

    def ring(self) -> None:
        for bell in self.bells:
            bell.set()


@dataclass
class FakeSearch:
    hits: dict[str, list[SearchHit]] = field(default_factory=dict)
    asked: list[Query] = field(default_factory=list)

    async def search(self, tenant: str, query: Query) -> list[SearchHit]:
        self.asked.append(query)
        return self.hits.get(tenant, [])[: query.limit]

    async def ping(self) -> None:
        return


@dataclass
class FakeEmbedder:
    broken: bool = False
    value: float = 1.0
    stamp: EngineStamp = field(default_factory=lambda: EngineStamp(name="fake", model="m", version="1", digest="d"))
    dimensions: int = 2
    max_tokens: int = 8

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        if self.broken:
            raise RuntimeError("secret inside")
        return [(self.value, 0.0) for _ in texts]


@dataclass
class FakeLag:
    down: bool = False
    reads: int = 0
    behind: int = 0

    def read(self) -> list[GroupLag]:
        self.reads += 1
        if self.down:
            raise DependencyDown("Kafka does not answer")
        return [GroupLag("headrace.ocr", "headrace.ocr", 7, 1.5)]

    def dead_letters(self) -> int:
        return 3

    def untaken(self) -> int:
        if self.down:
            raise DependencyDown("Kafka does not answer")
        return self.behind


@dataclass
class FakeLoad:
    newest: LoadReport | None = None

    def start(self) -> None:
        return

    def report(self) -> LoadReport | None:
        return self.newest


@dataclass
class World:
    """Every fake, and the parts made of them."""

    publisher: FakePublisher = field(default_factory=FakePublisher)
    blobs: FakeBlobs = field(default_factory=FakeBlobs)
    jobs: FakeJobs = field(default_factory=FakeJobs)
    bell: FakeBell = field(default_factory=FakeBell)
    search: FakeSearch = field(default_factory=FakeSearch)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    lag: FakeLag = field(default_factory=FakeLag)
    letters: FakeLetters = field(default_factory=FakeLetters)
    load: FakeLoad = field(default_factory=FakeLoad)
    entries: FakeEntries = field(default_factory=FakeEntries)
    submissions: FakeSubmissions = field(default_factory=FakeSubmissions)
    webhooks: FakeWebhooks = field(default_factory=FakeWebhooks)
    ids: JobIds = field(default_factory=lambda: JobIds({1: "secret"}))
    upload_limit: int = 1_000_000
    max_streams: int = 10
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = FakeKeys(self.entries)

    def parts(self) -> Parts:
        hashed = {hashlib.sha256(key.encode()).hexdigest(): tenant for key, tenant in KEYS.items()}
        given = {"upload_limit": self.upload_limit, "max_streams": self.max_streams, **self.more}
        settings = Settings(api_keys=hashed, **given)
        return Parts(
            self.publisher, self.blobs, self.jobs, self.bell, self.search, self.embedder, self.ids, settings, self.lag,
            self.letters,
            self.load, self.keys, self.entries, self.submissions, self.webhooks, Signer({1: b"secret"}), NoCheck(),
        )  # fmt: skip

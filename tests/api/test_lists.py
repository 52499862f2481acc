"""Lists of jobs and documents from a real database: order, filters, pages that nothing shifts, cursors of strangers."""

import base64
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql

from schemas.errors import BadRequest
from schemas.jobs import JobList, JobQuery, JobState
from sinks.postgres.job_list import _page
from sinks.postgres.reader import PostgresJobReader
from tests.api.stories import BEGAN, Scribe
from tests.sinks.databases import Database, fresh, rows


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[PostgresJobReader]:
    reader = PostgresJobReader(database.api)
    yield reader
    await reader.close()


@pytest.fixture
async def scribe(database: Database) -> AsyncIterator[Scribe]:
    async with Scribe(database.sink) as scribe:
        yield scribe


@pytest.fixture
def tenant() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


async def pages(reader: PostgresJobReader, tenant: str, **query: Any) -> list[list[str]]:
    """The ids of all pages of a list, read one after the other."""
    found: list[list[str]] = []
    after: str | None = None
    while True:
        page = await reader.jobs(tenant, JobQuery(after=after, **query))
        found.append([job.id for job in page.data])
        assert page.has_more == (page.next is not None)
        if page.next is None:
            return found
        after = page.next


async def test_jobs_come_newest_first_page_by_page_and_ties_are_cut_cleanly(
    reader: PostgresJobReader, scribe: Scribe, tenant: str
) -> None:
    jobs = [await scribe.job(second=number // 3, tenant=tenant) for number in range(10)]  # threes at the same moment
    await scribe.job(tenant="somebody-else")
    expected = sorted(jobs, key=lambda job: (jobs.index(job) // 3, job), reverse=True)
    for limit in (1, 2, 3, 7, 9, 10, 11):
        found = await pages(reader, tenant, limit=limit)
        assert [job for page in found for job in page] == expected
        assert all(len(page) == limit for page in found[:-1])


async def test_jobs_that_come_meanwhile_shift_nothing(reader: PostgresJobReader, scribe: Scribe, tenant: str) -> None:
    old = [await scribe.job(second=number, tenant=tenant) for number in range(6)]
    first = await reader.jobs(tenant, JobQuery(limit=3))
    for second in (100, 101, 102):
        await scribe.job(second=second, tenant=tenant)
    second_page = await reader.jobs(tenant, JobQuery(limit=3, after=first.next))
    assert [job.id for job in (*first.data, *second_page.data)] == old[::-1]


async def test_ended_jobs_are_listed_by_their_end_and_running_ones_not_at_all(
    reader: PostgresJobReader, scribe: Scribe, tenant: str
) -> None:
    late = await scribe.job(second=0, tenant=tenant, state="failed", finished_at=BEGAN + timedelta(seconds=50))
    early = await scribe.job(second=9, tenant=tenant, state="succeeded", finished_at=BEGAN + timedelta(seconds=20))
    await scribe.job(second=10, tenant=tenant, state="running")
    assert await pages(reader, tenant, order="finished_at", limit=1) == [[late], [early]]


async def test_filters_narrow_a_list_and_its_pages(reader: PostgresJobReader, scribe: Scribe, tenant: str) -> None:
    for number in range(12):
        state = ("queued", "failed", "partial")[number % 3]
        lane = ("interactive", "bulk")[number % 2]
        await scribe.job(second=number, tenant=tenant, state=state, lane=lane, document_id=f"d/{number % 4}")

    async def count(**query: Any) -> int:
        return sum(map(len, await pages(reader, tenant, limit=2, **query)))

    assert await count() == 12
    assert await count(state=(JobState.FAILED,)) == 4
    assert await count(state=(JobState.FAILED, JobState.PARTIAL)) == 8
    assert await count(lane="bulk") == 6
    assert await count(document_id="d/1") == 3
    assert await count(since=BEGAN + timedelta(seconds=3), until=BEGAN + timedelta(seconds=5)) == 2
    assert await count(state=(JobState.FAILED,), lane="bulk", since=BEGAN + timedelta(seconds=2)) == 1
    assert await count(
        since=datetime.min.replace(tzinfo=UTC) + timedelta(days=1), until=datetime.max.replace(tzinfo=UTC)
    )


INJECTED = (
    "a' OR '1'='1", '"}]}', 'a"; DROP TABLE jobs; --', "a'; DELETE FROM jobs; --", "{a}", "%", "_", "a\\", "$1", ":id",
)  # fmt: skip


async def test_what_is_sql_to_no_one_finds_only_what_is_named_so(
    reader: PostgresJobReader, scribe: Scribe, tenant: str
) -> None:
    plain = await scribe.job(tenant=tenant, document_id="a", tags=["a", "b"])
    foreign = await scribe.job(tenant=f"{tenant}x", document_id="a", tags=["a"])
    for words in INJECTED:
        assert await pages(reader, tenant, document_id=words) == await pages(reader, tenant, tag=(words,)) == [[]]
        assert await pages(reader, tenant, tag=("a", words)) == [[]]
        assert await reader.document(tenant, words) is None
        assert await reader.job(tenant, words) is None
    named = {words: await scribe.job(tenant=tenant, document_id=words, tags=["a", words]) for words in INJECTED}
    for words, job in named.items():
        assert await pages(reader, tenant, document_id=words) == await pages(reader, tenant, tag=(words,)) == [[job]]
        assert await pages(reader, tenant, document_id=words, tag=("a", words)) == [[job]]
    assert sum(map(len, await pages(reader, tenant))) == 1 + len(named)
    assert await pages(reader, tenant, document_id="a") == [[plain]]
    assert await pages(reader, f"{tenant}x") == [[foreign]]


async def test_a_list_says_what_each_job_is(reader: PostgresJobReader, scribe: Scribe, tenant: str) -> None:
    job = await scribe.job(
        tenant=tenant, state="cancelled", cancelling=False, run=3, document_id="a/ä", revision=7, filename="x.pdf",
        pages_total=5, deleted=True, started_at=BEGAN, finished_at=BEGAN,
    )  # fmt: skip
    page: JobList = await reader.jobs(tenant, JobQuery())
    [shown] = page.data
    assert (shown.id, shown.state, shown.run, shown.document_id, shown.revision) == (job, "cancelled", 3, "a/ä", 7)
    assert (shown.filename, shown.pages_total, shown.deleted, shown.created_at) == ("x.pdf", 5, True, BEGAN)


def forged(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


CURSORS = [
    "", "x", "é", "%", "AAAA", "W10", forged(), forged("created_at"), forged("finished_at", 1, "job_a"),
    forged("created_at", "1", "job_a"), forged("created_at", -1, "job_a"), forged("created_at", 2**63, "job_a"),
    forged("created_at", 2**63 - 1, "job_a"), forged("created_at", True, "job_a"), forged("created_at", 1.5, "a"),
    forged("created_at", 1, None), forged("created_at", 1, "a\x00"), forged("created_at", 1, "\ud800"), "[" * 250,
]  # fmt: skip


@pytest.mark.parametrize("cursor", CURSORS, ids=ascii)
async def test_a_cursor_that_the_list_did_not_give_is_refused(reader: PostgresJobReader, cursor: str) -> None:
    with pytest.raises(BadRequest):
        await reader.jobs("demo", JobQuery(after=cursor))
    with pytest.raises(BadRequest):
        await reader.documents("demo", cursor, 10)


async def test_a_cursor_tells_of_no_other_tenant(reader: PostgresJobReader, scribe: Scribe, tenant: str) -> None:
    for number in range(3):
        await scribe.job(second=number, tenant=tenant)
    cursor = (await reader.jobs(tenant, JobQuery(limit=1))).next
    assert (await reader.jobs("other", JobQuery(after=cursor))).data == []


async def test_documents_are_listed_newest_first_until_they_are_deleted(
    reader: PostgresJobReader, scribe: Scribe, tenant: str
) -> None:
    names = ["a", "b/c", "ä ö", "deleted", "again"]
    for number, name in enumerate(names, 1):
        job = await scribe.job(tenant=tenant, document_id=name, filename=f"{name}.pdf", state="succeeded")
        dropped = {"deleted": number, "again": number - 1}.get(name, 0)
        await scribe.document(name, job, number, tenant=tenant, dropped=dropped)
    found: list[str] = []
    after = None
    while True:
        page = await reader.documents(tenant, after, 2)
        found += [document.document_id for document in page.data]
        if not page.has_more:
            break
        after = page.next
    assert found == ["again", "ä ö", "b/c", "a"]
    view = await reader.document(tenant, "b/c")
    assert view is not None
    assert (view.document_id, view.revision, view.state, view.filename) == ("b/c", 2, "succeeded", "b/c.pdf")
    assert view.current is None
    assert await reader.document(tenant, "deleted") is None
    assert await reader.document(tenant, "nothing") is None
    assert await reader.document("other", "a") is None


async def test_lists_are_read_by_their_indexes(database: Database, scribe: Scribe, tenant: str) -> None:
    await scribe.many(tenant, 3000)
    await rows(database.admin, "ANALYZE jobs")
    for order, index in (("created_at", "jobs_by_creation"), ("finished_at", "jobs_by_end")):
        query = _page(tenant, JobQuery.model_validate({"order": order}))
        sql = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
        connection = await asyncpg.connect(database.api)  # row policies are part of the plan
        await connection.execute(f"SET headrace.tenant = '{tenant}'")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}"))
        await connection.close()
        assert index in plan
        assert "Sort" not in plan, plan

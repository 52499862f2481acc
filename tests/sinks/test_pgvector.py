"""The pgvector index and its search on a real PostgreSQL."""

import json
import math
from collections.abc import AsyncIterator

import pytest

from schemas.documents import ChunksEmbedded, EmbeddedChunk
from schemas.envelope import Envelope
from schemas.errors import DependencyDown, HeadraceError, ModelOutputInvalid, RecordError
from schemas.failpoints import Failpoints
from schemas.ports import Query
from schemas.work import Task
from sinks.pgvector_index import PgvectorIndex
from sinks.pgvector_search import PgvectorSearch
from tests.sinks import events
from tests.sinks.databases import Database, rows
from tests.sinks.events import embedded, new_job, towards

AHEAD = tuple(towards(0))


@pytest.fixture
async def index(database: Database) -> AsyncIterator[PgvectorIndex]:
    index = PgvectorIndex(database.sink, Failpoints("index-pgvector-1", None))
    await index.open()
    yield index
    await index.close()


@pytest.fixture
async def search(database: Database) -> AsyncIterator[PgvectorSearch]:
    search = PgvectorSearch(database.api)
    yield search
    await search.close()


async def test_a_passage_is_found_with_its_place_and_its_cosine(index: PgvectorIndex, search: PgvectorSearch) -> None:
    job, tenant = new_job(), f"t{new_job()[4:]}"
    await index.write([embedded(job, 3, [towards(1.0), towards(0.5)], tenant=tenant)])
    hits = await search.search(tenant, Query("", AHEAD))
    assert [(hit.page, hit.chunk) for hit in hits] == [(3, 1), (3, 0)]
    assert [hit.score for hit in hits] == pytest.approx([math.cos(0.5), math.cos(1.0)], abs=1e-6)
    assert (hits[0].box, hits[0].image_width, hits[0].image_height) == ((1, 2, 3, 4), 100, 200)
    assert (hits[0].job, hits[0].document_id, hits[0].revision) == (job, f"doc-{job}", 1)
    assert await search.search(tenant, Query("", AHEAD, document_id="another")) == []
    assert len(await search.search(tenant, Query("", AHEAD, limit=1, document_id=f"doc-{job}"))) == 1


async def test_repeats_in_and_across_batches_leave_each_passage_once(database: Database, index: PgvectorIndex) -> None:
    job = new_job()
    page = embedded(job, 1, [towards(0.1), towards(0.2)])
    first = await index.write([page, page])
    again = await index.write([page])
    found = await rows(database.admin, "SELECT chunk FROM chunks WHERE job = $1 ORDER BY chunk", job)
    assert [row["chunk"] for row in found] == [0, 1]
    ids = {Envelope.from_headers(event.headers).id for event in (*first, *again)}
    assert len(first) == 2
    assert len(ids) == 1, "the event of a repeat has the id of the first"


async def test_every_page_is_confirmed_also_a_blank_one(index: PgvectorIndex) -> None:
    job = new_job()
    out = await index.write([embedded(job, 1, []), embedded(job, 2, [towards(0)])])
    assert [json.loads(event.value or b"") for event in out] == [
        {"index": "pgvector", "count": 0},
        {"index": "pgvector", "count": 1},
    ]
    assert {event.topic for event in out} == {"headrace.events"}


async def test_a_later_run_replaces_a_page_and_an_earlier_one_no_more(database: Database, index: PgvectorIndex) -> None:
    job = new_job()
    old = embedded(job, 1, [towards(0.1), towards(0.2), towards(0.3)], run=1)
    new = embedded(job, 1, [towards(0.4)], run=2)
    blank = embedded(job, 1, [], run=3)
    for batch, runs in (
        ([old], [1, 1, 1]),
        ([new], [2]),
        ([old], [2]),
        ([old, new, old], [2]),
        ([blank, new], []),
        ([new], []),
    ):
        await index.write(batch)
        found = await rows(database.admin, "SELECT run FROM chunks WHERE job = $1", job)
        assert [row["run"] for row in found] == runs


def _with_vector(packed: str) -> Task:
    chunks = (EmbeddedChunk(index=0, text="", box=(0, 0, 1, 1), vector=packed),)
    payload = ChunksEmbedded(width=1, height=1, dimensions=384, chunks=chunks, engine=events.STAMP)
    return events.task(new_job(), 1, payload)


@pytest.mark.parametrize(
    ("packed", "error"),
    [
        (events.packed([math.nan] * 384), ModelOutputInvalid),
        (events.packed([math.inf] + [0.0] * 383), ModelOutputInvalid),
        (events.packed([0.0] * 384), ModelOutputInvalid),
        (events.packed([1.0] * 383), ModelOutputInvalid),
        ("", ModelOutputInvalid),
        ("no base64!", RecordError),
    ],
)
async def test_a_vector_without_a_direction_is_refused_and_nothing_is_written(
    database: Database, index: PgvectorIndex, packed: str, error: type[HeadraceError]
) -> None:
    good = embedded(new_job(), 1, [towards(0)])
    with pytest.raises(error):
        await index.write([good, _with_vector(packed)])
    assert await rows(database.admin, "SELECT 1 FROM chunks WHERE job = $1", good.envelope.job) == []


async def test_a_small_tenants_passages_are_found_behind_a_thousand_nearer_ones_of_another(
    database: Database, index: PgvectorIndex, search: PgvectorSearch
) -> None:
    big, small = (f"{size}{new_job()[4:]}" for size in ("big", "small"))
    for page in range(1, 11):
        near = [towards(page / 1000 + chunk / 100_000) for chunk in range(100)]
        await index.write([embedded(f"job_{big}", page, near, tenant=big)])
    await index.write([embedded(f"job_{small}", 1, [towards(1 + turn / 10) for turn in range(5)], tenant=small)])
    # Without sorts the planner takes the vector index, whose first forty rows are all the big tenant's.
    await rows(database.admin, "ALTER ROLE headrace_api SET enable_sort = off")
    try:
        fresh_search = PgvectorSearch(database.api)
        hits = await fresh_search.search(small, Query("", AHEAD, limit=5))
        await fresh_search.close()
    finally:
        await rows(database.admin, "ALTER ROLE headrace_api RESET enable_sort")
    assert [hit.chunk for hit in hits] == [0, 1, 2, 3, 4]
    assert [hit.chunk for hit in await search.search(small, Query("", AHEAD, limit=5))] == [0, 1, 2, 3, 4]


async def test_a_server_that_is_not_there_is_a_dependency_that_is_down(unused_tcp_port: int) -> None:
    url = f"postgresql://headrace_api:api@127.0.0.1:{unused_tcp_port}/postgres"
    search, index = PgvectorSearch(url), PgvectorIndex(url, Failpoints("x", None))
    for attempt in (search.ping(), search.search("demo", Query("", AHEAD, limit=1)), index.open()):
        with pytest.raises(DependencyDown) as raised:
            await attempt
        assert raised.value.retry_after is not None
    await search.close()
    await index.close()

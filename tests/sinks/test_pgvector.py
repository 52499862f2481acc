"""What is pgvector's alone; what it promises as every index does stands in tests/contract."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from schemas.errors import DependencyDown
from schemas.ports import Query
from sinks.pgvector_index import PgvectorIndex
from sinks.pgvector_search import PgvectorSearch
from tests.contract.passages import AHEAD, page, passage, tenant
from tests.sinks.databases import NO_FAILPOINTS, Database, rows
from tests.sinks.events import embedded, new_job, towards


@pytest.fixture
async def index(database: Database) -> AsyncIterator[PgvectorIndex]:
    index = PgvectorIndex(database.sink, NO_FAILPOINTS)
    await index.open()
    yield index
    await index.close()


@pytest.fixture
async def search(database: Database) -> AsyncIterator[PgvectorSearch]:
    search = PgvectorSearch(database.api)
    yield search
    await search.close()


async def test_a_small_tenants_passages_are_found_behind_a_thousand_nearer_ones_of_another(
    database: Database, index: PgvectorIndex, search: PgvectorSearch
) -> None:
    big, small = (f"{size}{new_job()[4:]}" for size in ("big", "small"))
    for number in range(1, 11):
        near = [towards(number / 1000 + chunk / 100_000) for chunk in range(100)]
        await index.write([embedded(f"job_{big}", number, near, tenant=big)])
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


async def test_a_stored_vector_is_the_embedders_own_to_the_last_bit(database: Database, index: PgvectorIndex) -> None:
    owner, angle = tenant(), 0.123456789
    await index.write([page(owner, "doc", 1, [passage(0, "a", angle)])])
    [row] = await rows(database.admin, "SELECT CAST(embedding AS real[]) AS held FROM chunks WHERE tenant = $1", owner)
    assert row["held"][:3] == pytest.approx(towards(angle)[:3], rel=1e-7)
    assert len(row["held"]) == 384


async def test_a_database_that_is_not_migrated_is_a_dependency_that_is_down(postgres: str) -> None:
    name = f"empty_{uuid.uuid4().hex}"
    await rows(postgres, f'CREATE DATABASE "{name}"')
    index = PgvectorIndex(postgres.rpartition("/")[0] + f"/{name}", NO_FAILPOINTS)
    async with asyncio.timeout(30):
        with pytest.raises(DependencyDown):
            await index.open()
    await index.close()

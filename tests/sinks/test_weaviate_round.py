"""The reconciler finds what Weaviate lacks or should not have, and puts it right from pgvector's rows."""

import asyncio
import shutil
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.local import children, ports
from deploy.local.weaviate import PORTS, Weaviate
from schemas.jobs import SearchHit
from schemas.ports import Query
from schemas.settings import Settings
from schemas.work import Task
from sinks import weaviate_round
from sinks.index_fence import exclude_writers
from sinks.index_pages import pages_of
from sinks.pgvector_index import PgvectorIndex
from sinks.postgres.engine import connect, transaction
from sinks.weaviate_client import WeaviateConnection
from sinks.weaviate_index import WeaviateIndex
from sinks.weaviate_objects import object_of, store
from sinks.weaviate_round import WeaviateRound
from sinks.weaviate_search import WeaviateSearch
from tests.contract.passages import AHEAD, NOW, dropped, page, passage, plain, tenant
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh, rows

pytestmark = pytest.mark.needs("weaviate")
HELD = ["job", "run", "page", "chunk", "text"]


@dataclass
class Pair:
    """Both indexes on one database, and rounds between them; `owner` is a tenant of no one else."""

    settings: Settings
    pgvector: PgvectorIndex
    weaviate: WeaviateIndex
    connection: WeaviateConnection
    database: Database
    owner: str

    async def write(self, *tasks: Task) -> None:
        await self.pgvector.write(tasks)
        await self.weaviate.write(tasks)

    async def collection(self) -> Any:
        return (await self.connection.passages()).with_tenant(self.owner)

    async def held(self) -> dict[str, tuple[Any, ...]]:
        """Job, run, page, chunk and text of what Weaviate has, by id."""
        found = await (await self.collection()).query.fetch_objects(limit=10_000, return_properties=HELD)
        return {str(item.uuid): tuple(item.properties[name] for name in HELD) for item in found.objects}

    async def truth(self) -> dict[str, tuple[Any, ...]]:
        found = await rows(self.database.admin, "SELECT * FROM chunks WHERE tenant = $1", self.owner)
        return {str(row["id"]): tuple(row[name] for name in HELD) for row in found}

    async def slip_in(self, *tasks: Task) -> None:
        """What a zombie stores, past the fence."""
        objects = [object_of(page, passage) for page in pages_of(tasks) for passage in page.passages]
        await store(asyncio.Semaphore(1), await self.collection(), objects)

    async def hits(self) -> list[SearchHit]:
        """What a search by vector finds."""
        search = WeaviateSearch(self.settings)
        try:
            return await search.search(self.owner, Query("", AHEAD, limit=100))
        finally:
            await search.close()

    async def round(self, *, dry: bool = False) -> Counter[str]:
        """What a round finds; other tests' tenants are right, so it is this one's."""
        reconciler = WeaviateRound(self.settings)
        try:
            return +await reconciler.run(dry=dry)
        finally:
            await reconciler.close()


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    """One of its own: a round goes over all tenants."""
    return fresh(postgres)


@pytest.fixture
def another_database(postgres: str) -> Database:
    """For a test that has a Weaviate of its own."""
    return fresh(postgres)


@pytest.fixture
async def pair(database: Database, weaviate: dict[str, str]) -> AsyncIterator[Pair]:
    async with paired(database, weaviate, tenant()) as pair:
        yield pair


@asynccontextmanager
async def paired(database: Database, weaviate: dict[str, str], owner: str) -> AsyncIterator[Pair]:
    settings = Settings.model_validate({**weaviate, "postgres": database.sink})
    pgvector, index = PgvectorIndex(database.sink, NO_FAILPOINTS), WeaviateIndex(settings, NO_FAILPOINTS)
    await pgvector.open()
    await index.open()
    connection = WeaviateConnection(settings.weaviate, settings.weaviate_grpc)
    yield Pair(settings, pgvector, index, connection, database, owner)
    await connection.close()
    await index.close()
    await pgvector.close()


async def test_nothing_is_touched_where_both_sides_agree(pair: Pair) -> None:
    await pair.write(plain(pair.owner, "a", 1, 3), plain(pair.owner, "b", 1, 2))
    assert await pair.round() == Counter()
    assert await pair.held() == await pair.truth() != {}


@pytest.mark.parametrize("window", [500, 7])
async def test_passages_that_weaviate_lost_are_put_back_and_found_again(
    pair: Pair, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weaviate_round, "WINDOW", window)
    await pair.write(*(plain(pair.owner, f"doc{n}", number, 4) for n in range(5) for number in (1, 2)))
    truth = await pair.truth()
    collection = await pair.collection()
    lost = sorted(truth)[3:30:2]
    for name in lost:
        await collection.data.delete_by_id(name)
    assert await pair.round(dry=True) == Counter(index_missing=len(lost))
    assert len(await pair.held()) == len(truth) - len(lost)
    assert await pair.round() == Counter(index_missing=len(lost))
    assert await pair.held() == truth
    assert await pair.round() == Counter()
    hits = await pair.hits()
    assert len(hits) == len(truth)
    assert hits[0].boxes == [(1, 2, 3, 4)]


async def test_a_weaviate_that_lost_a_whole_tenant_is_filled_again(pair: Pair) -> None:
    await pair.write(plain(pair.owner, "doc", 1, 5))
    truth = await pair.truth()
    await (await pair.connection.passages()).tenants.remove([pair.owner])
    assert await pair.round() == Counter(index_missing=5)
    assert await pair.held() == truth


@pytest.mark.needs("weaviate-server")
async def test_passages_that_are_there_and_that_no_search_finds_are_stored_anew(
    another_database: Database, tmp_path: Path
) -> None:
    server, owner = Weaviate(tmp_path / "weaviate", ports.free(len(PORTS))), tenant()
    told = {"weaviate": server.url, "weaviate_grpc": server.grpc}
    with children.running(server):
        async with paired(another_database, told, owner) as pair:
            await pair.write(plain(owner, "a", 1, 5), plain(owner, "b", 1, 7))
            assert len(await pair.hits()) == 12
    for graph in (tmp_path / "weaviate").rglob("*.hnsw.*"):
        shutil.rmtree(graph)
    with children.running(server):
        async with paired(another_database, told, owner) as pair:
            assert await pair.held() == await pair.truth()
            assert await pair.hits() == []
            assert await pair.round(dry=True) == Counter(index_unfound=12)
            assert await pair.round() == Counter(index_unfound=12)
            assert len(await pair.hits()) == 12
            assert await pair.round() == Counter()


async def test_what_a_zombie_stores_after_the_drop_of_its_document_is_swept(pair: Pair) -> None:
    late = plain(pair.owner, "doc", 1, 3)
    await pair.write(late)
    await pair.write(dropped(pair.owner, "doc"))
    await pair.slip_in(late)
    assert len(await pair.held()) == 3
    assert await pair.round() == Counter(index_surplus=3)
    assert await pair.held() == {}


async def test_what_a_zombie_of_a_lower_run_stores_over_the_later_one_is_written_anew(pair: Pair) -> None:
    first, second = (
        page(pair.owner, "doc", 1, [passage(n, f"run {run} passage {n}") for n in range(4 - run)], run=run)
        for run in (1, 2)
    )
    await pair.write(first)
    await pair.write(second)
    await pair.slip_in(first)
    assert {run for _, run, *_ in (await pair.held()).values()} == {1}
    assert await pair.round() == Counter(index_stale=2, index_surplus=1)
    assert await pair.held() == await pair.truth()
    assert {text for *_, text in (await pair.held()).values()} == {"run 2 passage 0", "run 2 passage 1"}


async def test_what_one_of_the_two_has_not_read_yet_is_left_alone(pair: Pair) -> None:
    job = f"job_{uuid.uuid4().hex}"
    await rows(
        pair.database.admin,
        "INSERT INTO jobs (id, tenant, document_id, revision, plan, lane, data_class, pipeline) "
        "VALUES ($1, $2, 'ahead', $3, 'p', 'bulk', 'internal', 'document')",
        job, pair.owner, NOW,
    )  # fmt: skip
    await pair.weaviate.write([plain(pair.owner, "ahead", 1, 3, job=job)])
    await pair.pgvector.write([plain(pair.owner, "behind", 1, 2)])
    assert await pair.round() == Counter()
    assert len(await pair.held()) == 3


async def test_a_round_waits_for_a_writer_of_the_same_document(pair: Pair) -> None:
    task = plain(pair.owner, "doc", 1, 2)
    await pair.write(task)
    await (await pair.connection.passages()).tenants.remove([pair.owner])
    engine = connect(pair.database.sink)
    async with transaction(engine) as connection:
        await exclude_writers(connection, "weaviate", pair.owner, ["doc"])
        running = asyncio.create_task(pair.round())
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(10):
            while (await rows(pair.database.admin, waiting))[0][0] == 0:
                await asyncio.sleep(0.02)
        await pair.slip_in(task)
    assert await running == Counter(), "what the writer stored meanwhile is seen"
    await engine.dispose()


async def test_a_database_that_was_restored_from_before_a_job_sweeps_what_weaviate_has_of_it(pair: Pair) -> None:
    task = plain(pair.owner, "doc", 1, 2)
    unknown = replace(task, envelope=task.envelope.model_copy(update={"job": "job_of_the_future"}))
    await pair.write(plain(pair.owner, "known", 1, 1))
    await pair.slip_in(unknown)
    await rows(pair.database.admin, "DELETE FROM projection")
    assert await pair.round() == Counter(), "the projector may not have come to it yet"
    await rows(pair.database.admin, "INSERT INTO projection VALUES ('headrace.jobs', 0, 1, now() + interval '1 year')")
    found = await pair.round()
    await rows(pair.database.admin, "DELETE FROM projection")
    assert found["index_surplus"] >= 2, "other tests' tenants have such objects too"
    assert await pair.held() == await pair.truth()

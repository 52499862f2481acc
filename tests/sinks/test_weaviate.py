"""What is Weaviate's alone: refused objects, read-only tenants, keys, limits, collections of other shapes."""

import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psutil
import pytest
from weaviate.classes.config import Configure

from deploy.local import children, ports
from deploy.local.weaviate import PORTS, Weaviate
from schemas.errors import DependencyDown, RecordError
from schemas.ports import Query
from schemas.settings import Settings
from sinks import weaviate_client
from sinks.weaviate_client import WeaviateConnection
from sinks.weaviate_index import WeaviateIndex
from sinks.weaviate_search import WeaviateSearch
from tests.contract.passages import AHEAD, dropped, plain, tenant
from tests.sinks.databases import NO_FAILPOINTS, Database
from tests.sinks.refusals import Judge, Refusals, refusing

pytestmark = pytest.mark.needs("weaviate")
Told = dict[str, str]


def accept(call: int, passage: int) -> str:
    return ""


def once(call: int, passage: int) -> str:
    return "shard is not ready" if call == 1 and passage in (2, 5) else ""


def always(call: int, passage: int) -> str:
    return "store is read-only" if passage == 1 else ""


def invalid(call: int, passage: int) -> str:
    return "invalid text property 'text' on class 'HeadracePassage': not a string" if passage == 1 else ""


@asynccontextmanager
async def opened(database: Database, told: Told) -> AsyncIterator[tuple[WeaviateIndex, WeaviateSearch]]:
    settings = Settings.model_validate({**told, "postgres": database.sink})
    index, search = WeaviateIndex(settings, NO_FAILPOINTS), WeaviateSearch(settings)
    try:
        await index.open()
        yield index, search
    finally:
        await index.close()
        await search.close()


Judged = Callable[[Judge], AbstractAsyncContextManager[tuple[WeaviateIndex, WeaviateSearch, Refusals]]]


@pytest.fixture
def judged(database: Database, weaviate: Told) -> Judged:
    @asynccontextmanager
    async def through(judge: Judge) -> AsyncIterator[tuple[WeaviateIndex, WeaviateSearch, Refusals]]:
        async with (
            refusing(weaviate["weaviate_grpc"], judge) as (address, refusals),
            opened(database, weaviate | {"weaviate_grpc": address}) as (index, search),
        ):
            yield index, search, refusals

    return through


async def test_of_a_batch_only_what_was_refused_is_sent_again(judged: Judged) -> None:
    owner = tenant()
    async with judged(once) as (index, search, refusals):
        await index.write([plain(owner, "doc", 1, 8)])
        hits = await search.search(owner, Query("", AHEAD))
    assert refusals.calls[:2] == [list(range(8)), [2, 5]]
    assert len(refusals.calls) == 3, "and one of them once more, so that the server writes its log out"
    assert sorted(hit.chunk for hit in hits) == list(range(8))


async def test_what_is_refused_again_and_again_holds_the_batch_until_it_is_taken(judged: Judged) -> None:
    owner = tenant()
    batch = [plain(owner, "doc", 1, 3)]
    async with judged(always) as (index, search, refusals):
        with pytest.raises(DependencyDown):
            await index.write(batch)
        assert refusals.calls == [[0, 1, 2], [1], [1]]
        refusals.judge = accept
        await index.write(batch)
        assert len(await search.search(owner, Query("", AHEAD))) == 3


async def test_an_object_that_is_itself_at_fault_is_told_from_a_server_that_is_down(judged: Judged) -> None:
    owner = tenant()
    async with judged(invalid) as (index, _, refusals):
        with pytest.raises(RecordError):
            await index.write([plain(owner, "doc", 1, 3), plain(owner, "doc", 2, 1)])
        await index.write([plain(owner, "doc", 2, 1)])
        with pytest.raises(RecordError):
            await index.write([plain(owner, "doc", 1, 3)])
    assert [1] not in refusals.calls, "sending it again cannot help"


async def test_no_word_of_a_document_reaches_the_log(judged: Judged, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for judge, error in ((always, DependencyDown), (invalid, RecordError)):
            async with judged(judge) as (index, _, _):
                with pytest.raises(error) as raised:
                    await index.write([plain(tenant(), "secret", 1, 3)])
                assert "secret" not in str(raised.value)
    assert "secret" not in caplog.text
    assert "refused 1 of 3 passages" in caplog.text


async def test_a_tenant_that_is_read_only_holds_its_batch_until_it_is_not(database: Database, weaviate: Told) -> None:
    stuck, free = tenant(), tenant()
    connection = WeaviateConnection(weaviate["weaviate"], weaviate["weaviate_grpc"])
    batch = [plain(owner, "doc", 2, 2) for owner in (stuck, free)]
    async with opened(database, weaviate) as (index, search):
        await index.write([plain(owner, "doc", 1, 1) for owner in (stuck, free)])
        shards = (await connection.passages()).config
        await shards.update_shards("READONLY", shard_names=[stuck])
        with pytest.raises(DependencyDown):
            await index.write(batch)
        await shards.update_shards("READY", shard_names=[stuck])
        await index.write(batch)
        for owner in (stuck, free):
            assert len(await search.search(owner, Query("", AHEAD))) == 3
    await connection.close()


async def test_a_collection_of_another_shape_is_not_written(
    database: Database, weaviate: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"Other{tenant()}"
    monkeypatch.setattr(weaviate_client, "COLLECTION", name)
    connection = WeaviateConnection(weaviate["weaviate"], weaviate["weaviate_grpc"])
    search = WeaviateSearch(Settings.model_validate(weaviate))
    assert await search.search("demo", Query("", AHEAD)) == [], "nobody has written anything yet"
    await (await connection.client()).collections.create(name, vector_config=Configure.Vectors.self_provided())
    with pytest.raises(DependencyDown, match="not as this release makes it"):
        async with opened(database, weaviate):
            pass
    await (await connection.client()).collections.delete(name)
    await connection.close()
    await search.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Told, psutil.Process]]:
    """A server with a key, which deletes 100 objects a call at most."""
    folder: Path = tmp_path_factory.mktemp("weaviate")
    server = Weaviate(folder, ports.free(len(PORTS)), key="the-key", settings={"QUERY_MAXIMUM_RESULTS": "100"})
    child = children.start(server)
    yield {"weaviate": server.url, "weaviate_grpc": server.grpc, "weaviate_key": "the-key"}, psutil.Process(child.pid)
    children.end([child])


@pytest.mark.needs("weaviate-server")
async def test_a_key_opens_and_a_wrong_one_is_a_dependency_that_is_down(
    database: Database, own: tuple[Told, psutil.Process]
) -> None:
    told, _ = own
    async with opened(database, told) as (index, search):
        owner = tenant()
        await index.write([plain(owner, "doc", 1, 2)])
        assert len(await search.search(owner, Query("", AHEAD))) == 2
        await search.ping()
    for wrong in ("another-key", ""):
        with pytest.raises(DependencyDown) as raised:
            async with opened(database, told | {"weaviate_key": wrong}):
                pass
        assert "another-key" not in str(raised.value)


@pytest.mark.needs("weaviate-server")
async def test_a_document_of_more_passages_than_one_call_deletes_is_dropped_whole(
    database: Database, own: tuple[Told, psutil.Process]
) -> None:
    async with opened(database, own[0]) as (index, search):
        owner = tenant()
        await index.write([plain(owner, "doc", page, 25) for page in range(1, 11)])
        await index.write([plain(owner, "doc", page, 12, run=2) for page in range(1, 11)])
        assert len(await search.search(owner, Query("doc", mode="keyword", limit=100))) == 100
        await index.write([dropped(owner, "doc")])
        assert await search.search(owner, Query("doc", mode="keyword", limit=100)) == []


@pytest.mark.needs("weaviate-server")
async def test_a_server_that_stops_while_it_is_connected_is_down_within_seconds(
    database: Database, own: tuple[Told, psutil.Process]
) -> None:
    told, process = own
    async with opened(database, told) as (index, search):
        owner = tenant()
        batch = [plain(owner, "doc", 1, 2)]
        await index.write([plain(owner, "doc", 2, 1)])
        assert len(await search.search(owner, Query("", AHEAD))) == 1
        process.send_signal(signal.SIGSTOP)
        try:
            for attempt in (index.write(batch), search.search(owner, Query("", AHEAD)), search.ping()):
                began = time.monotonic()
                with pytest.raises(DependencyDown):
                    await attempt
                assert time.monotonic() - began < 15
        finally:
            process.send_signal(signal.SIGCONT)
        await index.write(batch)
        assert len(await search.search(owner, Query("", AHEAD))) == 3

"""What every index promises while its server is killed and stopped; the same words for each."""

import asyncio
import dataclasses
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

import pytest

from schemas.errors import DependencyDown
from schemas.ports import Query
from schemas.work import Task
from sinks import weaviate_objects
from sinks.fenced_index import FencedIndex
from sinks.weaviate_objects import Collection, Object, findable
from tests.contract.conftest import Owned
from tests.contract.passages import AHEAD, plain, tenant

PATIENCE = 60.0


async def patiently(call: Callable[[], Awaitable[object]]) -> int:
    """Call until the dependency is up. How often it was down."""
    deadline, held = time.monotonic() + PATIENCE, 0
    while True:
        try:
            await call()
            return held
        except DependencyDown:
            held += 1
            assert time.monotonic() < deadline, "the server is back, but not for the index"
            await asyncio.sleep(0.1)


async def written(index: FencedIndex, batch: Sequence[Task]) -> int:
    """Write as the loop does: hold the batch while the dependency is down. How often it was."""
    return await patiently(lambda: index.write(batch))


async def test_a_server_killed_in_the_middle_of_batches_leaves_nothing_lost_or_doubled(owned: Owned) -> None:
    owner, rig = tenant(), owned.rig
    await rig.index.open()
    ends: list[int] = []
    seconds: list[float] = []
    enough = asyncio.Event()

    async def writer() -> None:
        while not enough.is_set():
            batch, began = [plain(owner, f"doc{len(ends)}", page, 4) for page in range(1, 17)], time.monotonic()
            ends.append(await written(rig.index, batch))
            seconds.append(time.monotonic() - began)

    work = asyncio.create_task(writer())
    for _ in range(24):
        goal = len(ends) + 3
        while len(ends) < goal:
            await asyncio.sleep(0.001)
        if sum(map(bool, ends)) == 2:
            break
        await asyncio.sleep(min(seconds) / 2)  # into the next batch
        owned.kill()
        owned.start()
    enough.set()
    await work
    assert sum(map(bool, ends)) == 2, "two kills are to hit a batch, else the run shows little"
    for number in range(len(ends)):
        for query in (Query("", AHEAD), Query("chunk", mode="keyword")):
            asked = dataclasses.replace(query, limit=100, document_id=f"doc{number}")
            hits = await rig.search.search(owner, asked)
            held = sorted((hit.page, hit.chunk) for hit in hits)
            assert held == [(page, chunk) for page in range(1, 17) for chunk in range(4)]


async def test_what_was_confirmed_is_found_by_every_mode_after_kill_9(owned: Owned) -> None:
    owner, rig = tenant(), owned.rig
    await rig.index.open()
    for number in range(2):
        await rig.index.write([plain(owner, f"doc{number}", page, 2) for page in range(1, 11)])
        owned.kill()
        owned.start()
        await written(rig.index, [plain(owner, "blank", number + 1, 0)])
        for mode in ("vector", "keyword", "hybrid"):
            hits = await rig.search.search(owner, Query("page", AHEAD, mode, limit=100))
            assert len(hits) == 20 * (number + 1), mode


@pytest.mark.needs("weaviate-server")
@pytest.mark.parametrize("owned", ["weaviate"], indirect=True)
async def test_a_server_restarted_between_two_calls_that_both_went_well_is_noticed(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a writer that sleeps meanwhile: no call of its own fails, yet the graph lacks what was in memory."""
    owner, rig, insert = tenant(), owned.rig, weaviate_objects._insert
    await rig.index.open()
    due = False

    async def restarted(gate: asyncio.Semaphore, passages: Collection, objects: Sequence[Object]) -> None:
        nonlocal due
        if len(objects) == 1 and due:
            due = False
            owned.kill()
            owned.start()
            await patiently(lambda: findable(passages, [uuid.uuid4()]))  # by this very connection
        await insert(gate, passages, objects)

    monkeypatch.setattr(weaviate_objects, "_insert", restarted)
    noticed = 0
    for number in range(5):  # Weaviate may have written the vectors out: then nothing is lost, and none is to notice
        due = True
        noticed += await written(rig.index, [plain(owner, f"doc{number}", page, 4) for page in range(1, 17)])
        assert not due
        assert len(await rig.held(owner, f"doc{number}")) == 64
        if noticed:
            break
    assert noticed


async def test_a_server_that_hangs_is_down_within_seconds_and_later_takes_the_same_batch(owned: Owned) -> None:
    owner, rig = tenant(), owned.rig
    await rig.index.open()
    await rig.index.write([plain(owner, "before", 1, 1)])
    assert len(await rig.held(owner)) == 1
    await rig.close()  # to begin with, PostgreSQL waits for an answer on an open connection for 40 s
    batch = [plain(owner, "doc", page, 2) for page in range(1, 5)]
    owned.signal(signal.SIGSTOP)
    try:
        for attempt in (rig.index.write(batch), rig.search.search(owner, Query("", AHEAD))):
            began = time.monotonic()
            with pytest.raises(DependencyDown):
                await attempt
            assert time.monotonic() - began < 15
    finally:
        owned.signal(signal.SIGCONT)
    await written(rig.index, batch)
    assert [(hit.page, hit.chunk) for hit in await rig.held(owner, "doc")] == [
        (p, c) for p in range(1, 5) for c in (0, 1)
    ]

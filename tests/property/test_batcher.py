"""The batcher: nothing lost, nothing doubled, order kept, never idle while there is work."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.batcher import BULK_EVERY, Batcher


@given(st.lists(st.integers(1, 7), max_size=30), st.integers(1, 9), st.integers(1, 20))
@settings(deadline=None)
def test_everything_put_is_taken_once_and_in_order(bursts: list[int], limit: int, capacity: int) -> None:
    async def scenario() -> None:
        batcher: Batcher[int] = Batcher(capacity)
        count = sum(bursts)

        async def feed() -> None:
            number = 0
            for burst in bursts:
                for _ in range(burst):
                    await batcher.put(number)
                    assert len(batcher) <= capacity
                    number += 1
                await asyncio.sleep(0)

        feeding = asyncio.create_task(feed())
        taken: list[int] = []
        while len(taken) < count:
            batch = await batcher.take(limit)
            assert 1 <= len(batch) <= limit
            taken += batch
        await feeding
        assert taken == list(range(count))

    asyncio.run(scenario())


async def test_an_idle_taker_gets_a_single_item_at_once() -> None:
    batcher: Batcher[str] = Batcher(8)
    taking = asyncio.create_task(batcher.take(8))
    await asyncio.sleep(0)
    await batcher.put("only")
    for _ in range(3):  # turns of the loop, no time
        await asyncio.sleep(0)
    assert taking.done(), "a lone item waited for company"
    assert taking.result() == ["only"]


async def test_items_put_back_for_later_come_back_before_newer_ones_and_count_as_room() -> None:
    batcher: Batcher[int] = Batcher(2)
    await batcher.put(1)
    assert await batcher.take(5) == [1]
    batcher.later(1, 0.01)
    assert batcher.room() == 1
    assert await batcher.take(5) == [1]


async def test_items_put_back_now_keep_their_order_at_the_front() -> None:
    batcher: Batcher[int] = Batcher(9)
    for number in range(5):
        await batcher.put(number)
    taken = await batcher.take(3)
    batcher.again(taken)
    assert await batcher.take(9) == [0, 1, 2, 3, 4]


async def test_dropping_makes_room_and_closing_wakes_the_taker() -> None:
    batcher: Batcher[int] = Batcher(2)
    await batcher.put(1)
    await batcher.put(2)
    waiting = asyncio.create_task(batcher.put(3))
    await asyncio.sleep(0)
    assert not waiting.done()
    batcher.drop(lambda number: number == 1)
    await waiting
    assert await batcher.take(9) == [2, 3]
    taking = asyncio.create_task(batcher.take(1))
    await asyncio.sleep(0)
    batcher.close()
    assert await taking == []


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 9))
@settings(deadline=None)
def test_each_class_keeps_its_order_and_the_first_stands_before_the_other_but_for_one_batch_of_eight(
    classes: list[bool], limit: int
) -> None:
    async def scenario() -> None:
        batcher: Batcher[tuple[bool, int]] = Batcher(60, lambda item: item[0])
        items = [(first, number) for number, first in enumerate(classes)]
        for item in items:
            await batcher.put(item)
        taken, turned = [], 0
        while len(batcher):
            mixed = {first for first, number in items if (first, number) not in taken} == {True, False}
            batch = await batcher.take(limit)
            turned += mixed and not batch[0][0]
            taken += batch
        assert [item for item in taken if item[0]] == [item for item in items if item[0]]
        assert [item for item in taken if not item[0]] == [item for item in items if not item[0]]
        assert turned <= len(items) // BULK_EVERY

    asyncio.run(scenario())


async def test_a_full_class_leaves_the_other_its_room() -> None:
    batcher: Batcher[tuple[bool, int]] = Batcher(2, lambda item: item[0])
    for number in range(2):
        await batcher.put((False, number))
    blocked = asyncio.create_task(batcher.put((False, 2)))
    await batcher.put((True, 0))
    assert (batcher.room(), batcher.room(first=True), blocked.done()) == (0, 1, False)
    assert await batcher.take(1) == [(True, 0)]
    assert not blocked.done()
    assert await batcher.take(1) == [(False, 0)]
    await blocked

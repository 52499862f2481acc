"""Delivery reports on their way from the polling thread to the loop: none is lost, and few wake-ups carry many."""

import asyncio
import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError

from producers.publisher import _Reports
from schemas.errors import LogUnavailable

COUNT = 5000
LOST = KafkaError(KafkaError._MSG_TIMED_OUT)


class Counted:
    """A loop that counts who wakes it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.woken = 0

    def call_soon_threadsafe(self, call: Any) -> None:
        self.woken += 1
        self.loop.call_soon_threadsafe(call)


async def test_every_report_of_another_thread_settles_its_future() -> None:
    loop = Counted()
    reports = _Reports(loop)  # type: ignore[arg-type]  # it does what is asked of one
    futures = [loop.loop.create_future() for _ in range(COUNT)]
    calls = [reports.of(future) for future in futures]
    futures[7].cancel()

    def polled() -> None:
        for number, call in enumerate(calls):
            call(LOST if number % 5 == 0 else None, None)

    thread = threading.Thread(target=polled)
    thread.start()
    async with asyncio.timeout(20):
        await asyncio.wait(futures)
    thread.join()
    assert 1 <= loop.woken <= COUNT
    for number, future in enumerate(futures):
        if number == 7:
            assert future.cancelled()
        elif number % 5:
            assert future.result() is None
        else:
            with pytest.raises(LogUnavailable):
                future.result()


async def test_what_came_at_once_wakes_the_loop_once() -> None:
    loop = Counted()
    reports = _Reports(loop)  # type: ignore[arg-type]  # it does what is asked of one
    for _ in range(2):
        futures = [loop.loop.create_future() for _ in range(10)]
        for future in futures:
            reports.of(future)(None, None)
        async with asyncio.timeout(20):
            await asyncio.gather(*futures)
    assert loop.woken == 2

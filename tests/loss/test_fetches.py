"""How long a member lets the broker hold its fetches: long where that costs nobody a wait."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from confluent_kafka.admin import AdminClient, NewTopic

from processors.stream import kafka_stream
from processors.stream.kafka_stream import FETCH_MS, SHARED_FETCH_MS, KafkaStream
from processors.stream.port import Group
from processors.watermark import Watermarks
from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.records import Partition, Record


class Rooms:
    """A feed that has room for a class or not, as a test says."""

    notes_idle = False

    def __init__(self) -> None:
        self.open_to = {True: asyncio.Event(), False: asyncio.Event()}

    async def has_room(self, *, first: bool = False) -> int:
        await self.open_to[first].wait()
        return 10

    async def open(self) -> None: ...

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def deliver(self, record: Record) -> None:
        raise AssertionError(record)

    def revoked(self, partitions: Sequence[Partition]) -> None: ...

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None: ...

    async def drain(self, seconds: float) -> None: ...


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What each fetch of this process asked for, in milliseconds."""
    asked: list[int] = []

    class Noted(fetcher.FetchRequest):  # type: ignore[misc, name-defined]  # aiokafka carries no types
        def __init__(self, max_wait_ms: int, *rest: Any, **named: Any) -> None:
            asked.append(max_wait_ms)
            super().__init__(max_wait_ms, *rest, **named)

    monkeypatch.setattr(fetcher, "FetchRequest", Noted)
    return asked


async def _reach(held: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not held():
            await asyncio.sleep(0.05)


async def _served(stream: KafkaStream, feed: Rooms, then: Callable[[], Awaitable[None]]) -> None:
    async def build() -> Rooms:
        return feed

    serving = asyncio.create_task(stream._serve(build, lambda: None))
    try:
        await then()
    finally:
        stream._stopping.set()
        assert await serving == 0


async def test_fetches_are_long_while_each_class_is_asked_for_and_short_while_one_is_full(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch, holds: list[int]
) -> None:
    first, rest = (f"{name}-{uuid.uuid4().hex}" for name in ("first", "rest"))
    admin = AdminClient(librdkafka(kafka))
    made = admin.create_topics([NewTopic(first, 1, 1), NewTopic(rest, 1, 1)])
    await asyncio.gather(*(asyncio.to_thread(topic.result) for topic in made.values()))
    monkeypatch.setattr(kafka_stream, "FIRST_TOPICS", frozenset({first}))
    feed = Rooms()

    async def idle_then_one_is_full() -> None:
        for room in feed.open_to.values():
            room.set()
        await _reach(lambda: holds[-3:] == [FETCH_MS] * 3)
        feed.open_to[False].clear()
        await _reach(lambda: holds[-3:] == [SHARED_FETCH_MS] * 3)

    await _served(
        KafkaStream(Group(uuid.uuid4().hex, "a-1", (first, rest), kafka), Watermarks()), feed, idle_then_one_is_full
    )

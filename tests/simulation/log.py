"""The log in memory: partitions and offsets, compacted views, and what goes wrong on the way to it."""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import TopicPartition

from schemas.errors import LogUnavailable
from schemas.records import Outgoing
from tests.simulation.loop import VirtualLoop

PARTITIONS = 2


@dataclass(slots=True)
class Message:
    """A record as it lies on the log."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: float


class Coordinated(Protocol):
    """A consumer group, as the log knows it."""

    topics: tuple[str, ...]
    committed: dict[TopicPartition, int]
    rebalances: int

    def news(self, partition: TopicPartition) -> None:
        """A record came."""
        ...

    def watch(self) -> None:
        """Time passes."""
        ...


class Log:
    """The broker. `down` until which virtual time it says nothing; `loses` is the share of answers that get lost."""

    def __init__(self, loop: VirtualLoop, partitions: int = PARTITIONS) -> None:
        self.loop = loop
        self.partitions = partitions
        self.records: dict[TopicPartition, list[Message]] = {}
        self.compacted: dict[str, dict[bytes, bytes]] = {}
        self.groups: dict[str, Coordinated] = {}
        self.down_until = 0.0
        self.loses = 0.0
        self.on_append: list[Callable[[Message], object]] = []
        self.on_commit: list[Callable[[str, TopicPartition, int], object]] = []
        self.relay_epoch = 0
        self.version = 0
        self._unread: deque[Outgoing] = deque()
        self.relay_position: Any = None

    @property
    def down(self) -> bool:
        """Whether it does not answer now."""
        return self.loop.now < self.down_until

    def of(self, topic: str, number: int) -> list[Message]:
        """A partition."""
        return self.records.setdefault(TopicPartition(topic, number), [])

    def append(self, record: Outgoing) -> None:
        """One record, acknowledged by all."""
        place = zlib.crc32(record.key) if record.spread is None else record.spread
        number = place % self.partitions
        records = self.of(record.topic, number)
        message = Message(
            record.topic, number, len(records), record.key, record.value, record.headers, self.loop.now * 1000
        )
        records.append(message)
        self.version += 1
        if record.topic in self.compacted:
            self._unread.append(record)
            self.loop.outside(0.004, self._follow)
        for hear in self.on_append:
            hear(message)
        for group in self.groups.values():
            group.news(TopicPartition(record.topic, number))

    def _follow(self) -> None:
        """The views come to know the next record: always a little later than it was written."""
        if self._unread:
            record = self._unread.popleft()
            view = self.compacted[record.topic]
            if record.value is None:
                view.pop(record.key, None)
            else:
                view[record.key] = record.value

    def view(self, topic: str) -> dict[bytes, bytes]:
        """The newest value of each key, as a process that opens a view has it: up to the end."""
        view = self.compacted.setdefault(topic, {})
        while self._unread:
            self._follow()
        return view

    def messages(self, topic: str) -> list[Message]:
        """All of a topic, partition by partition."""
        return [message for number in range(self.partitions) for message in self.of(topic, number)]


class SimulatedPublisher:
    """`ports.Publisher`: what is sent arrives a little later, or in part, or twice, or its answer never comes."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if not records:
            return
        loop = self._log.loop
        answer: asyncio.Future[bool] = loop.create_future()
        loop.outside(way(loop), self._arrive, list(records), answer)
        if not await answer:
            raise LogUnavailable("the log does not answer")

    async def ping(self) -> None:
        if self._log.down:
            raise LogUnavailable("the log does not answer")

    def _arrive(self, records: list[Outgoing], answer: asyncio.Future[bool]) -> None:
        loop = self._log.loop
        if self._log.down:
            loop.outside(0.5, tell, answer, False)
            return
        lost = self._log.loses > 0 and loop.random.random() < self._log.loses
        for record in records[: loop.random.randint(0, len(records))] if lost else records:
            self._log.append(record)
        loop.outside(way(loop), tell, answer, not lost)


class View:
    """A compacted topic as every worker has it."""

    def __init__(self, log: Log, topic: str) -> None:
        self._values = log.view(topic)

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)


def way(loop: VirtualLoop) -> float:
    """The network: mostly quick, now and then not."""
    drawn = loop.random.random()
    return 0.0 if drawn < 0.6 else drawn * 0.02 if drawn < 0.97 else drawn * 0.5


def tell(answer: asyncio.Future[Any], said: Any) -> None:
    if not answer.done():
        answer.set_result(said)

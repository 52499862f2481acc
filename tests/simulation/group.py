"""Groups of static members with generations and sessions, and a consumer of one.

The consumer has the methods of aiokafka's that `KafkaStream` calls, so the stream that runs over it is the real one.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalGenerationError, KafkaConnectionError

from tests.simulation.log import Log, Message, tell, way
from tests.simulation.loop import Process

SESSION_SECONDS = 3.0


@dataclass(eq=False, slots=True)
class Member:
    """A place in a group, and the consumer that has it now."""

    consumer: "SimulatedConsumer"
    joined: asyncio.Future[None] | None = None
    assigned: frozenset[TopicPartition] = frozenset()
    lost_at: float | None = None


@dataclass(eq=False)
class Group:
    """A consumer group with its coordinator at the broker."""

    log: Log
    name: str
    topics: tuple[str, ...]
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    generation: int = 0
    preparing: bool = False
    rebalances: int = 0

    def news(self, partition: TopicPartition) -> None:
        """Wake who may fetch from it."""
        if partition.topic in self.topics:
            for member in self.members.values():
                member.consumer.wake()

    def enter(self, consumer: "SimulatedConsumer") -> None:
        """A consumer comes; under a known instance it takes its place over without a rebalance."""
        known = self.members.get(consumer.instance)
        if known is None:
            self.members[consumer.instance] = Member(consumer)
            self.prepare()
            return
        known.consumer.fenced = True
        known.consumer, known.lost_at = consumer, None
        if self.preparing:
            known.joined = None
            consumer.rejoin()
        else:
            consumer.given(known.assigned, self.generation)

    def prepare(self) -> None:
        """Begin a rebalance: everyone is to give up what they have and join again."""
        self.rebalances += 1
        self.preparing = True
        for member in self.members.values():
            member.joined = None
            member.consumer.rejoin()

    def join(self, consumer: "SimulatedConsumer") -> asyncio.Future[None] | None:
        """A member is ready for the next generation; what it waits for then."""
        member = self.members.get(consumer.instance)
        if member is None or member.consumer is not consumer:
            return None
        if not self.preparing:
            self.prepare()
        member.joined = self.log.loop.create_future()
        self._settle()
        return member.joined

    def watch(self) -> None:
        """Every second: who has not been heard for a session is out."""
        now = self.log.loop.now
        for instance, member in list(self.members.items()):
            process = member.consumer.process
            if process.alive and not process.paused:
                member.lost_at = None
            elif member.lost_at is None:
                member.lost_at = now
            elif now - member.lost_at >= SESSION_SECONDS:
                self.leave(instance)

    def leave(self, instance: str) -> None:
        """A member is out: its partitions go to the others."""
        gone = self.members.pop(instance)
        gone.consumer.fenced = True
        self.prepare()
        self._settle()

    def _settle(self) -> None:
        if not self.members or any(member.joined is None for member in self.members.values()):
            return
        self.preparing = False
        self.generation += 1
        names = sorted(self.members)
        everything = [TopicPartition(topic, n) for topic in self.topics for n in range(self.log.partitions)]
        for place, name in enumerate(names):
            member = self.members[name]
            member.assigned = frozenset(everything[place :: len(names)])
            member.consumer.given(member.assigned, self.generation)
            if member.joined is not None and not member.joined.done():
                member.joined.set_result(None)


class SimulatedConsumer:
    """The part of `AIOKafkaConsumer` that the stream uses."""

    def __init__(self, log: Log, group: str, instance: str, process: Process) -> None:
        self.log = log
        self.instance = instance
        self.process = process
        self.fenced = False
        self._name = group
        self._group: Group | None = None
        self._listener: Any = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._told: frozenset[TopicPartition] = frozenset()
        self._generation = -1
        self._positions: dict[TopicPartition, int] = {}
        self._fetching: list[asyncio.Future[None]] = []
        self._orders: list[frozenset[TopicPartition] | None] = []
        self._ordered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, topics: Iterable[str], listener: Any) -> None:
        self._topics = tuple(topics)
        self._listener = listener

    async def start(self) -> None:
        if self.log.down:
            raise KafkaConnectionError
        group = self.log.groups.setdefault(self._name, Group(self.log, self._name, self._topics))
        assert isinstance(group, Group)
        self._group = group
        self._task = self.log.loop.create_task(self._coordinate())
        group.enter(self)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def wake(self) -> None:
        fetching, self._fetching = self._fetching, []
        for news in fetching:
            tell(news, None)

    def rejoin(self) -> None:
        """The coordinator says that a rebalance is on."""
        self._orders.append(None)
        self._ordered.set()

    def given(self, partitions: frozenset[TopicPartition], generation: int) -> None:
        """The coordinator's assignment: fetching begins, whether or not the listener has heard of it."""
        self._assigned = partitions
        self._generation = generation
        assert self._group is not None
        for partition in partitions:
            self._positions[partition] = self._group.committed.get(partition, 0)
        self._orders.append(partitions)
        self._ordered.set()
        self.wake()

    async def _coordinate(self) -> None:
        while True:
            while not self._orders:
                if self.fenced and not self.process.paused:
                    await self._come_back()
                    continue
                self._ordered.clear()
                await self._ordered.wait()
            order = self._orders.pop(0)
            if order is not None:
                self._told = order
                await self._listener.on_partitions_assigned(sorted(order))
                continue
            if None in self._orders or self.fenced:
                continue
            await self._revoke()
            assert self._group is not None
            self._group.join(self)

    async def _revoke(self) -> None:
        told, self._told = self._told, frozenset()
        await self._listener.on_partitions_revoked(sorted(told))
        self._assigned = frozenset()

    async def _come_back(self) -> None:
        """A zombie learns that it is out: what it had is lost, and it joins anew."""
        assert self._group is not None
        self.fenced = False
        self._orders.clear()
        await self._revoke()
        known = self._group.members.get(self.instance)
        if known is None or known.consumer is self:
            self._group.members[self.instance] = Member(self)
            self._group.prepare()

    def heartbeat(self) -> None:
        """About once a second: who was thrown out hears it."""
        if self.fenced:
            self._ordered.set()

    async def getmany(
        self, *wanted: TopicPartition, timeout_ms: float, max_records: int
    ) -> dict[TopicPartition, list[Message]]:
        await asyncio.sleep(0)  # the fetcher answers, even where it holds records already
        found = self._fetch(wanted, max_records)
        if not found:
            news: asyncio.Future[None] = self.log.loop.create_future()
            self._fetching.append(news)
            patience = self.log.loop.call_later(timeout_ms / 1000, tell, news, None)
            await news
            patience.cancel()
            found = self._fetch(wanted, max_records)
        return found

    def _fetch(self, wanted: tuple[TopicPartition, ...], most: int) -> dict[TopicPartition, list[Message]]:
        if self.log.down:
            return {}
        found: dict[TopicPartition, list[Message]] = {}
        known, positions = self.log.records, self._positions
        order = sorted(
            item for item in self._assigned.intersection(wanted) if positions[item] < len(known.get(item, ()))
        )
        if len(order) > 1:
            self.log.loop.random.shuffle(order)
        for partition in order:
            if most <= 0:
                break
            records, at = known[partition], positions[partition]
            count = self.log.loop.random.randint(1, min(most, len(records) - at))
            found[partition] = records[at : at + count]
            positions[partition] = at + count
            most -= count
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assigned

    async def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        await asyncio.sleep(way(self.log.loop))
        if self.log.down:
            raise KafkaConnectionError
        return {partition: len(self.log.of(*partition)) for partition in partitions}

    async def commit(self, offsets: dict[TopicPartition, Any]) -> None:
        answer: asyncio.Future[str] = self.log.loop.create_future()
        self.log.loop.outside(way(self.log.loop), self._committed, offsets, self._generation, answer)
        match await answer:
            case "down":
                raise KafkaConnectionError
            case "fenced":
                raise CommitFailedError
            case "generation":
                raise IllegalGenerationError

    def _committed(self, offsets: dict[TopicPartition, Any], generation: int, answer: asyncio.Future[str]) -> None:
        group = self._group
        assert group is not None
        said = "done"
        if self.log.down:
            said = "down"
        elif self.fenced:
            said = "fenced"
        elif generation != group.generation:
            said = "generation"
        else:
            for partition, offset in offsets.items():
                for hear in self.log.on_commit:
                    hear(group.name, partition, offset.offset)
                group.committed[partition] = offset.offset
                self.log.version += 1
        self.log.loop.outside(way(self.log.loop), tell, answer, said)

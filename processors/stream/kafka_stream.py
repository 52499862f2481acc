"""Our own consume loop over aiokafka: static membership, no prefetch past the loop's room, watermark commits."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from processors.stream.port import COMMIT_METADATA, EXIT_FAILED, Feed, Group
from processors.watermark import Watermarks
from producers.clients import PARTITIONS_SECONDS
from producers.credentials import aiokafka
from schemas.records import Partition, Record
from schemas.topics import FIRST_TOPICS

log = logging.getLogger(__name__)
FETCH_MS = 1500
"""How long the broker may hold a fetch that finds nothing; a record ends the wait at once."""
SHARED_FETCH_MS = 200
"""The same while one of two classes is not asked for: what is taken of it is fetched again only when that wait ends."""
UNASSIGNED_SECONDS = 0.1
IDLE_SECONDS = 1.0
WEEK_MS = 7 * 24 * 3600 * 1000


class KafkaStream:
    """`Stream` by aiokafka."""

    def __init__(self, group: Group, watermarks: Watermarks) -> None:
        self._group = group
        self._watermarks = watermarks
        self._classes = sorted({topic in FIRST_TOPICS for topic in group.topics})
        self._stopping = asyncio.Event()
        self._asking = 0

    def serve(self, build: Callable[[], Awaitable[Feed]], ready: Callable[[], None]) -> int:
        """Run until told to stop."""
        return asyncio.run(self._serve(build, ready))

    async def _serve(self, build: Callable[[], Awaitable[Feed]], ready: Callable[[], None]) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        feed = await build()
        consumer = self._consumer()
        listener = _Listener(self, feed, consumer)
        consumer.subscribe(list(self._group.topics), listener=listener)
        await _until_up(consumer.start)
        work = [
            asyncio.create_task(self._open(feed, listener, ready)),
            *(asyncio.create_task(self._pull(consumer, feed, first=first)) for first in self._classes),
            asyncio.create_task(self._commit_often(consumer)),
            *([asyncio.create_task(self._tell_idle(consumer, feed))] if feed.notes_idle else []),
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        done, _ = await asyncio.wait({stopping, *work}, return_when=asyncio.FIRST_COMPLETED)
        failed = next((task.exception() for task in done if task is not stopping and task.exception()), None)
        if failed is not None:
            log.critical("%s failed; ending without a commit", self._group.name, exc_info=failed)
            return EXIT_FAILED
        await feed.drain(self._group.grace_seconds)
        for task in (stopping, *work):
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await self.commit(consumer)
        await consumer.stop()
        return 0

    def _consumer(self) -> AIOKafkaConsumer:
        session = int(self._group.session_seconds * 1000)
        return AIOKafkaConsumer(
            **aiokafka(self._group.broker),
            group_id=self._group.name,
            group_instance_id=self._group.instance,
            client_id=self._group.instance,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session,
            heartbeat_interval_ms=session // 6,
            rebalance_timeout_ms=session,
            max_poll_interval_ms=WEEK_MS,  # a full loop stops polling, and is well
            fetch_max_wait_ms=FETCH_MS if len(self._classes) == 1 else SHARED_FETCH_MS,
            consumer_timeout_ms=1000,  # how often the fetcher looks round where nothing wakes it; each look costs
            retry_backoff_ms=500,  # ten times a second, nine members took half a core from the Kafka that was starting
            metadata_max_age_ms=int(1000 * PARTITIONS_SECONDS),
        )

    async def _open(self, feed: Feed, listener: "_Listener", ready: Callable[[], None]) -> None:
        await feed.open()
        await listener.assigned.wait()
        ready()
        await feed.run()

    async def _pull(self, consumer: AIOKafkaConsumer, feed: Feed, *, first: bool) -> None:
        """Fetch and deliver what is of one class: each has room of its own, so that neither waits for the other."""
        while True:
            room = await feed.has_room(first=first)
            own = [item for item in consumer.assignment() if (item.topic in FIRST_TOPICS) == first]
            if not own:
                await asyncio.sleep(UNASSIGNED_SECONDS)
                continue
            found = await self._fetched(consumer, own, room)
            # No await from here to the end of _enter: what was fetched is in the table before a rebalance can begin.
            for record in [record for item in found.items() for record in self._enter(consumer, *item)]:
                if self._watermarks.is_open(record):
                    await feed.deliver(record)

    async def _fetched(self, consumer: AIOKafkaConsumer, own: list[TopicPartition], room: int) -> Any:
        """What there is, by partition."""
        self._ask(consumer, 1)
        try:
            return await consumer.getmany(*own, timeout_ms=FETCH_MS, max_records=room)
        finally:
            self._ask(consumer, -1)

    def _ask(self, consumer: AIOKafkaConsumer, change: int) -> None:
        """Let the broker hold fetches for long while every class asks, so that each fetch is for all of them.

        aiokafka has no public way; should it come to keep the time elsewhere, fetches of two classes stay short.
        """
        self._asking += change
        if len(self._classes) > 1 and (fetcher := getattr(consumer, "_fetcher", None)) is not None:
            fetcher._fetch_max_wait_ms = FETCH_MS if self._asking == len(self._classes) else SHARED_FETCH_MS

    def _enter(self, consumer: AIOKafkaConsumer, item: TopicPartition, messages: list[Any]) -> list[Record]:
        partition = Partition(item.topic, item.partition)
        epoch = self._watermarks.epoch(partition)
        if epoch is None:  # fetched before on_partitions_assigned was heard: read it again after
            consumer.seek(item, messages[0].offset)
            return []
        for message in messages:
            self._watermarks.track(partition, message.offset)
        return [_record(partition, epoch, message) for message in messages]

    async def _commit_often(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await asyncio.sleep(self._group.commit_seconds)
            await self.commit(consumer)

    async def commit(self, consumer: AIOKafkaConsumer) -> None:
        """Commit what may be; a failure is no loss, since the records are read again."""
        if not (offsets := self._watermarks.committable()):
            return
        try:
            await consumer.commit(
                {
                    TopicPartition(*partition): OffsetAndMetadata(offset, COMMIT_METADATA)
                    for partition, offset in offsets.items()
                }
            )
        except KafkaError as error:
            log.warning("%s: offsets not committed: %r", self._group.name, error)
        else:
            self._watermarks.committed(offsets)

    async def _tell_idle(self, consumer: AIOKafkaConsumer, feed: Feed) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS)
            asked = time.time()
            if self._watermarks.open_records() or not (assigned := consumer.assignment()):
                continue
            try:
                ends = await consumer.end_offsets(assigned)
                at_end = [await consumer.position(item) == ends[item] for item in assigned]
            except KafkaError:
                continue  # the log is away: then nothing is known to be read
            if all(at_end) and not self._watermarks.open_records():
                await feed.idle(asked, [Partition(item.topic, item.partition) for item in assigned])

    def reassign(self, partitions: Iterable[TopicPartition]) -> None:
        """A new epoch for what is assigned now."""
        for item in partitions:
            self._watermarks.assign(Partition(item.topic, item.partition))

    def release(self, partitions: Iterable[TopicPartition]) -> list[Partition]:
        """Forget what is revoked."""
        gone = [Partition(item.topic, item.partition) for item in partitions]
        for partition in gone:
            self._watermarks.revoke(partition)
        return gone


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka carries no types
    def __init__(self, stream: KafkaStream, feed: Feed, consumer: AIOKafkaConsumer) -> None:
        self._stream = stream
        self._feed = feed
        self._consumer = consumer
        self.assigned = asyncio.Event()

    # aiokafka awaits what these return, and declares them without saying so.
    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, revoked: Iterable[TopicPartition]
    ) -> None:
        revoked = list(revoked)
        if revoked:
            await self._stream.commit(self._consumer)
        self._feed.revoked(self._stream.release(revoked))

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, assigned: Iterable[TopicPartition]
    ) -> None:
        self._stream.reassign(assigned)
        self.assigned.set()


async def _until_up(start: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await start()
        except KafkaError as error:
            log.warning("Kafka does not answer: %r", error)
            await asyncio.sleep(1)


def _record(partition: Partition, epoch: int, message: Any) -> Record:
    headers = tuple((key, value or b"") for key, value in message.headers)
    return Record(partition, message.offset, epoch, message.key, message.value, headers, message.timestamp / 1000)

"""faust-streaming's App and Worker as a stream, with its offset bookkeeping replaced by our watermark table.

What is measured of Faust 0.15.3 and holds here (ADR 0002): raw bytes, one agent a topic with concurrency 1,
`noack().events()`, no pause, no take, no tables, no transactions, the web off, and a buffer of at least five times
`max_poll_records` a partition, since a smaller one makes it sleep a second at a time.
"""

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import faust
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as ClientPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from yarl import URL

from processors.stream.port import COMMIT_METADATA, EXIT_FAILED, Feed, Group
from processors.watermark import Watermarks
from producers.clients import PARTITIONS_SECONDS
from producers.credentials import tls
from schemas.broker import Broker
from schemas.records import Partition, Record

log = logging.getLogger(__name__)
POLL_RECORDS = 64
WEEK = 7 * 24 * 3600.0
BUFFER = 4096  # >= 5 x POLL_RECORDS x 12 partitions, the most that one worker was tried with


class FaustStream:
    """`Stream` by faust-streaming. Faust's Worker owns the event loop and the signals."""

    def __init__(self, group: Group, watermarks: Watermarks) -> None:
        self._group = group
        self._watermarks = watermarks
        self._feed: Feed | None = None
        self._assigned = asyncio.Event()

    def serve(self, build: Callable[[], Awaitable[Feed]], ready: Callable[[], None]) -> int:
        """Run until told to stop."""
        app = self._app()
        opened: asyncio.Future[Feed] | None = None

        def feed() -> asyncio.Future[Feed]:
            nonlocal opened  # built once, by whichever of agents and task asks first, on Faust's loop
            if opened is None:
                opened = asyncio.ensure_future(self._build(build))
            return opened

        for topic in self._group.topics:
            raw = app.topic(topic, key_serializer="raw", value_serializer="raw", acks=True)
            app.agent(raw, name=f"feed-{topic}", concurrency=1)(self._agent(feed))

        async def work() -> None:
            try:
                loop = await feed()
                await loop.open()
                await self._assigned.wait()
                ready()
                await loop.run()
            except asyncio.CancelledError:
                raise
            except BaseException:
                log.critical("%s failed; ending without a commit", self._group.name, exc_info=True)
                os._exit(EXIT_FAILED)

        app.task(work)
        drain: Any = self._drain  # Faust types its receivers more narrowly than it calls them
        app.on_before_shutdown.connect(drain, weak=False)
        return self._execute(app)

    def _execute(self, app: faust.App) -> int:
        sys.argv = [sys.argv[0], "worker"]  # Faust's Worker reads the command line, which is ours
        worker = faust.Worker(app, loglevel="WARN", redirect_stdouts=False, override_logging=False, quiet=True)
        try:
            worker.execute_from_commandline()
        except SystemExit as left:
            return int(left.code or 0)
        return 0

    def _app(self) -> faust.App:
        group = self._group
        app = faust.App(
            group.name,
            broker=[URL(f"kafka://{server}") for server in group.broker.bootstrap.split(",")],
            broker_credentials=_credentials(group.broker),
            broker_client_id=group.instance,
            consumer_group_instance_id=group.instance,
            broker_session_timeout=group.session_seconds,
            broker_heartbeat_interval=group.session_seconds / 6,
            broker_rebalance_timeout=group.session_seconds,
            broker_request_timeout=max(20.0, group.session_seconds),
            broker_commit_interval=group.commit_seconds,
            broker_max_poll_interval=WEEK,  # with full buffers Faust polls nothing, and is well
            broker_max_poll_records=POLL_RECORDS,
            stream_buffer_maxsize=BUFFER,
            stream_wait_empty=False,  # else one un-acked record makes SIGTERM hang for more than a minute
            consumer_auto_offset_reset="earliest",
            consumer_metadata_max_age_ms=int(1000 * PARTITIONS_SECONDS),
            store="memory://",
            table_standby_replicas=0,  # without tables; else Faust assigns ranges, and a job's pages meet one worker
            datadir=tempfile.gettempdir(),
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
        )
        app.transport = _Transport(app.conf.broker_consumer, app, self)
        return app

    def _agent(self, feed: Callable[[], Awaitable[Feed]]) -> Callable[[Any], Awaitable[None]]:
        async def agent(stream: Any) -> None:
            loop = await feed()
            events: AsyncIterable[Any] = stream.noack().events()
            async for event in events:
                message = event.message
                partition = Partition(message.topic, message.partition)
                epoch = self._watermarks.epoch(partition)
                # Not open: done before and read again after a seek, or left over from an earlier assignment.
                if epoch is not None and self._watermarks.is_open(record := _record(partition, epoch, message)):
                    await loop.deliver(record)

        return agent

    async def _drain(self, _app: Any, **_: Any) -> None:
        if self._feed is not None:
            await self._feed.drain(self._group.grace_seconds)

    async def _build(self, build: Callable[[], Awaitable[Feed]]) -> Feed:
        """Make the loop, and keep it for rebalances and the end."""
        self._feed = await build()
        return self._feed

    def reassign(self, partitions: Iterable[TP]) -> None:
        """A new epoch for what is assigned now."""
        for item in partitions:
            self._watermarks.assign(Partition(item.topic, item.partition))
        self._assigned.set()

    def release(self, partitions: Iterable[TP]) -> None:
        """Forget what is revoked."""
        gone = [Partition(item.topic, item.partition) for item in partitions]
        for partition in gone:
            self._watermarks.revoke(partition)
        if self._feed is not None:
            self._feed.revoked(gone)

    @property
    def watermarks(self) -> Watermarks:
        """The table that decides every commit."""
        return self._watermarks


class _Thread(driver.AIOKafkaConsumerThread):
    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Faust's crashes the worker on a failed commit; nothing is lost by one, so the next one is awaited."""
        try:
            await self._ensure_consumer().commit(
                {ClientPartition(*tp): OffsetAndMetadata(offset, COMMIT_METADATA) for tp, offset in offsets.items()}
            )
        except KafkaError as error:
            log.warning("offsets not committed: %r", error)
            return False
        return True


class _Consumer(driver.Consumer):
    """Faust's consumer with our table in place of its `_acked`, `_gap` and un-acked WeakSet."""

    @property
    def _stream(self) -> FaustStream:
        transport: Any = self.transport
        stream: FaustStream = transport.stream
        return stream

    @property
    def _table(self) -> Watermarks:
        return self._stream.watermarks

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, record: Any) -> Any:
        # The first place that sees a fetched record, under its own generation: it is in the table from here on.
        self._table.track(Partition(tp.topic, tp.partition), record.offset)
        return super()._to_message(tp, record)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        committable = self._table.committable()
        return iter([TP(partition.topic, partition.number) for partition in committable])

    def _new_offset(self, tp: TP) -> int | None:
        offset: int | None = self._table.committable().get(Partition(*tp))
        return offset

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        did = bool(await super()._commit_offsets(offsets, start_new_transaction))
        if did:
            self._table.committed({Partition(*tp): at for tp, at in offsets.items()})
        return did

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return True  # the table has said so; Faust's own memory of commits advances even where one failed

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._stream.reassign(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self.commit()
        self._stream.release(revoked)
        await super().on_partitions_revoked(revoked)


class _Transport(driver.Transport):
    Consumer = _Consumer

    def __init__(self, url: Any, app: faust.App, stream: FaustStream) -> None:
        super().__init__(url, app)
        self.stream = stream


def _credentials(broker: Broker) -> Any:
    if not broker.logs_in:
        return tls(broker)
    return faust.SASLCredentials(
        username=broker.username,
        password=broker.password.get_secret_value(),
        ssl_context=tls(broker),
        mechanism=broker.mechanism,
    )


def _record(partition: Partition, epoch: int, message: Any) -> Record:
    headers = tuple((key, bytes(value or b"")) for key, value in (message.headers or ()))
    return Record(partition, message.offset, epoch, message.key, message.value, headers, message.timestamp)

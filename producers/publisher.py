"""The producer of every process: idempotent, awaited, one partitioner.

confluent-kafka (librdkafka) costs an eighth of aiokafka's CPU a record (ADR 0002). Its delivery reports arrive on a
polling thread and resolve futures of the event loop.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from producers.clients import PARTITIONS_SECONDS, Complaint, librdkafka
from producers.in_time import come
from schemas.broker import Broker
from schemas.errors import LogUnavailable
from schemas.records import Outgoing

log = logging.getLogger(__name__)
QUIET_SECONDS = 10.0  # between two complaints about the same refusal, which is repeated every second
_OVERTIME = 5.0  # seconds: librdkafka waits by the wall clock, for hours where that is set back
RETRY_AFTER = 2.0  # seconds a caller is told to wait; a broker restart takes 4 to 6


def _leave() -> None:
    os._exit(70)


class _Reports:
    """Delivery reports on their way from the polling thread to a loop, which is woken once for all that came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._came: deque[tuple[asyncio.Future[None], KafkaError | None]] = deque()
        self._woken = False

    def of(self, future: asyncio.Future[None]) -> Callable[[KafkaError | None, object], None]:
        """What librdkafka is to call for the record whose future this is."""

        def report(error: KafkaError | None, _message: object) -> None:
            self._came.append((future, error))
            if not self._woken:
                self._woken = True
                with contextlib.suppress(RuntimeError):  # the loop closed first: nobody waits any more
                    self.loop.call_soon_threadsafe(self._settle)

        return report

    def _settle(self) -> None:
        self._woken = False  # first: what comes from now on wakes the loop anew
        while self._came:
            future, error = self._came.popleft()
            if future.done():  # the awaiting task was cancelled
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(LogUnavailable(error.str(), retry_after=RETRY_AFTER))


class KafkaPublisher:
    """`ports.Publisher` over librdkafka. `seconds` bounds each publish, `on_fatal` ends the process by default:
    a fatal producer error (fenced, out of sequence) cannot be mended, and offsets not yet committed are read again."""

    def __init__(self, broker: Broker, seconds: float = 10.0, *, on_fatal: Callable[[], None] = _leave) -> None:
        self._seconds = seconds
        self._on_fatal = on_fatal
        self._complaint = Complaint()
        self._quiet_until = 0.0
        self._partitions: dict[str, tuple[int, float]] = {}  # how many, and until when that is believed
        self._closing = threading.Event()
        self._reports: _Reports | None = None
        self._producer = Producer(
            {
                **librdkafka(broker),
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # Java's and aiokafka's: librdkafka's own agrees on 19 of 200 keys
                "linger.ms": 0,
                "message.timeout.ms": int(seconds * 1000),
                "message.max.bytes": 1_000_000,  # values over 256 KiB go by claim: the rest is headers
                "topic.metadata.refresh.interval.ms": int(1000 * PARTITIONS_SECONDS),
                "error_cb": self._on_error,
            }
        )
        self._poller = threading.Thread(target=self._poll, name="publisher", daemon=True)
        self._poller.start()

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return when the log has confirmed every record; raise `LogUnavailable` when one was not in time."""
        if not records:
            return
        loop = asyncio.get_running_loop()
        if self._reports is None or self._reports.loop is not loop:
            self._reports = _Reports(loop)
        confirmed = [loop.create_future() for _ in records]
        for record, future in zip(records, confirmed, strict=True):
            await self._produce(record, self._reports.of(future))
        await self._reported(confirmed)
        refused = [future.exception() for future in confirmed]  # of each, or asyncio complains of those not looked at
        for error in filter(None, refused):
            raise error

    async def _reported(self, reports: Sequence[asyncio.Future[None]]) -> None:
        """Wait for the reports, all of which librdkafka gives in time, or it is stuck: then the process ends."""
        try:
            if await come(reports, self._seconds + _OVERTIME, _OVERTIME):
                return
        finally:
            for report in reports:  # nobody waits for those that are still to come
                report.cancel()
        log.critical("the producer has reported nothing for %g s", self._seconds + 2 * _OVERTIME)
        self._on_fatal()
        raise LogUnavailable(retry_after=RETRY_AFTER)

    async def ping(self) -> None:
        """Return when a broker answers with metadata; raise `LogUnavailable` otherwise."""
        await asyncio.to_thread(self._metadata, None, min(self._seconds, 3.0))

    async def close(self) -> None:
        """Wait for what is on its way, then stop."""
        await asyncio.to_thread(self._producer.flush, self._seconds)
        self._closing.set()
        await asyncio.to_thread(self._poller.join)

    async def _produce(self, record: Outgoing, report: Callable[[KafkaError | None, object], None]) -> None:
        options: dict[str, Any] = {}
        if record.spread is not None:
            options["partition"] = record.spread % await self._count(record.topic)
        try:
            self._producer.produce(
                record.topic, record.value, record.key, headers=list(record.headers), on_delivery=report, **options
            )
        except BufferError as error:
            raise LogUnavailable("too many records wait for the log", retry_after=RETRY_AFTER) from error
        except KafkaException as error:
            raise LogUnavailable(error.args[0].str(), retry_after=RETRY_AFTER) from error

    async def _count(self, topic: str) -> int:
        count, until = self._partitions.get(topic, (0, 0.0))
        if time.monotonic() >= until:
            metadata = await asyncio.to_thread(self._metadata, topic, self._seconds)
            partitions = metadata.topics[topic].partitions
            if not partitions:
                raise LogUnavailable(f"topic {topic} is missing", retry_after=RETRY_AFTER)
            count = len(partitions)
            self._partitions[topic] = (count, time.monotonic() + PARTITIONS_SECONDS)
        return count

    def _metadata(self, topic: str | None, seconds: float) -> Any:
        try:
            return (
                self._producer.list_topics(topic, timeout=seconds)
                if topic
                else self._producer.list_topics(timeout=seconds)
            )
        except KafkaException as error:
            raise LogUnavailable(retry_after=RETRY_AFTER) from error

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(0.5)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            log.critical("the producer failed for good: %s", error.str())
            self._on_fatal()
        self._complaint.hear(error)
        if self._complaint.refused and time.monotonic() > self._quiet_until:
            log.warning("%s", self._complaint.reason)
            self._quiet_until = time.monotonic() + QUIET_SECONDS

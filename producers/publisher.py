"""The producer of every process: idempotent, awaited, one partitioner.

confluent-kafka (librdkafka) costs an eighth of aiokafka's CPU a record (ADR 0002). Its delivery reports are taken by
the event loop itself, which looks for them while records are on their way: a thread that waits for them takes the
interpreter's lock from the loop at each, which cost a sixth of the jobs that an API process accepts (ADR 0023).
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from producers.clients import PARTITIONS_SECONDS, Complaint, librdkafka
from schemas.broker import Broker
from schemas.errors import LogUnavailable
from schemas.records import Outgoing

log = logging.getLogger(__name__)
QUIET_SECONDS = 10.0  # between two complaints about the same refusal, which is repeated every second
_OVERTIME = 5.0  # seconds: librdkafka waits by the wall clock, for hours where that is set back
_SOON, _SELDOM, _SLOWER = 0.001, 0.01, 1.25  # seconds between two looks for reports, and how these grow apart
_NAPS = 4  # in which a single record is waited for within a look
_IDLE = 0.5  # seconds between two looks for errors
RETRY_AFTER = 2.0  # seconds a caller is told to wait; a broker restart takes 4 to 6


def _leave() -> None:
    os._exit(70)


class _Confirmation:
    """What the log says of one publish: so many reports, all good, or the first refusal."""

    __slots__ = ("_left", "_waiter", "refusal")

    def __init__(self, count: int) -> None:
        self._left = count
        self._waiter: asyncio.Future[None] | None = None
        self.refusal: KafkaError | None = None

    def settle(self, error: KafkaError | None, _message: object = None) -> None:
        """One record was reported on: librdkafka calls this, within a poll."""
        self._left -= 1
        self.refusal = self.refusal or error
        if not self._left and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def come(self, seconds: float) -> bool:
        """Whether all is reported within `seconds`; `asyncio.wait` would take three times as long to say so."""
        if self._left:
            self._waiter = asyncio.get_running_loop().create_future()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._waiter
        return not self._left


class KafkaPublisher:
    """`ports.Publisher` over librdkafka. `seconds` bounds each publish, `on_fatal` ends the process by default:
    a fatal producer error (fenced, out of sequence) cannot be mended, and offsets not yet committed are read again."""

    def __init__(self, broker: Broker, seconds: float = 10.0, *, on_fatal: Callable[[], None] = _leave) -> None:
        self._seconds = seconds
        self._on_fatal = on_fatal
        self._complaint = Complaint()
        self._quiet_until = 0.0
        self._partitions: dict[str, tuple[int, float]] = {}  # how many, and until when that is believed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.TimerHandle | None = None
        self._pace = _IDLE
        self._nothing_left = asyncio.Event()
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

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return when the log has confirmed every record; raise `LogUnavailable` when one was not in time."""
        if not records:
            return
        confirmation = _Confirmation(len(records))
        try:
            for record in records:
                await self._produce(record, confirmation.settle)
        finally:
            self._look_soon()
        await self._reported(confirmation)
        if confirmation.refusal is not None:
            raise LogUnavailable(confirmation.refusal.str(), retry_after=RETRY_AFTER)

    async def _reported(self, confirmation: _Confirmation) -> None:
        """Wait for the reports, all of which librdkafka gives in time, or it is stuck: then the process ends."""
        for patience in (self._seconds + _OVERTIME, _OVERTIME):  # again: for one that was stopped the clock ran on
            if await confirmation.come(patience):
                return
        log.critical("the producer has reported nothing for %g s", self._seconds + 2 * _OVERTIME)
        self._on_fatal()
        raise LogUnavailable(retry_after=RETRY_AFTER)

    async def ping(self) -> None:
        """Return when a broker answers with metadata; raise `LogUnavailable` otherwise."""
        self._look_soon()
        await asyncio.to_thread(self._metadata, None, min(self._seconds, 3.0))

    async def close(self) -> None:
        """Wait for what is on its way, then stop."""
        self._nothing_left.clear()
        self._look_soon()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._nothing_left.wait()
        if self._look is not None:
            self._look.cancel()

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

    def _look_soon(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._pace > _SOON:
            if self._look is not None:
                self._look.cancel()
            self._loop, self._pace = loop, _SOON
            self._look = loop.call_later(0 if len(self._producer) == 1 else _SOON, self._take, loop)

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take what librdkafka has to say. What comes late is looked for less often: a log may be away for long.

        A single record is waited for within the look: the loop has little else to do then, and its timers, of whole
        milliseconds, would come late by as much as the log takes to confirm a record. Not by librdkafka, which waits by
        the wall clock: where that is set back meanwhile, a wait of a millisecond is one of hours.
        """
        took = self._producer.poll(0)
        waiting = len(self._producer) == 1 and self._pace < _SELDOM
        for _ in range(_NAPS if waiting and not took else 0):
            time.sleep(_SOON / _NAPS)
            if took := self._producer.poll(0):
                break
        if not len(self._producer):
            self._pace, waiting = _IDLE, False
            self._nothing_left.set()
        else:
            self._pace = _SOON if took else min(self._pace * _SLOWER, _SELDOM)
        self._look = loop.call_later(0 if waiting else self._pace, self._take, loop)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            log.critical("the producer failed for good: %s", error.str())
            self._on_fatal()
        self._complaint.hear(error)
        if self._complaint.refused and time.monotonic() > self._quiet_until:
            log.warning("%s", self._complaint.reason)
            self._quiet_until = time.monotonic() + QUIET_SECONDS

"""A compacted topic read without a group, and followed: what every process must know the newest of."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from producers.clients import Complaint, librdkafka
from schemas.broker import Broker

log = logging.getLogger(__name__)
WAIT_MS = 10_000
"""How long the broker may hold a fetch that finds nothing; an order ends the wait at once."""
_LOG_SECONDS = 10


class CompactedView:
    """The newest value of each key. A tombstone forgets the key, so the table is as large as what stands.

    One librdkafka client on a thread, for the life of the process: idle, it takes a fifth of the CPU of aiokafka's. One
    client a view: what a client asks for while a fetch is held at the broker waits behind that fetch.

    `last`, where given, is how many of the newest records each partition is read from on: enough for a topic of one key
    that is written all the time, and whose old values lie there until they are compacted.
    """

    def __init__(self, topic: str, broker: Broker, *, last: int | None = None) -> None:
        self._topic = topic
        self._broker = broker
        self._last = last
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The newest value of a key."""
        return self._values.get(key)

    async def open(self) -> None:
        """Read to the present end, waiting for the log as long as it takes, then follow."""
        caught_up = asyncio.Event()
        tell = asyncio.get_running_loop().call_soon_threadsafe
        self.start(lambda: tell(caught_up.set))
        await caught_up.wait()

    def start(self, caught_up: Callable[[], object] = lambda: None) -> None:
        """Begin to read, and call `caught_up`, on another thread, once the present end is reached."""
        complaint = Complaint()
        consumer = self._consumer(complaint)  # here, so that settings which the client refuses are raised
        arguments = (consumer, complaint, caught_up)
        threading.Thread(target=self._follow, args=arguments, name=self._topic, daemon=True).start()

    def _consumer(self, complaint: Complaint) -> Consumer:
        return Consumer(
            {
                **librdkafka(self._broker),
                "group.id": "headrace.views",  # the client wants one; it joins nothing and commits nothing
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": WAIT_MS,
                "error_cb": complaint.hear,
            }
        )

    def _follow(self, consumer: Consumer, complaint: Complaint, caught_up: Callable[[], object]) -> None:
        extents = self._extents(consumer, complaint)
        consumer.assign([TopicPartition(self._topic, number, low) for number, (low, _) in extents.items()])
        unread = {number for number, (low, high) in extents.items() if low < high}
        if not unread:
            caught_up()
        while True:
            message: Any = consumer.poll(WAIT_MS / 1000)
            if message is None or message.error():  # the client itself tries again
                continue
            self._put(message.key() or b"", message.value())
            number = message.partition()
            if number in unread and message.offset() + 1 >= extents[number][1]:
                unread.remove(number)
                if not unread:
                    caught_up()

    def _extents(self, consumer: Consumer, complaint: Complaint) -> dict[int, tuple[int, int]]:
        """The first and the next offset of each partition."""
        while True:
            try:
                partitions = consumer.list_topics(self._topic, timeout=_LOG_SECONDS).topics[self._topic].partitions
                known = {
                    number: consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=_LOG_SECONDS)
                    for number in partitions
                }
                if known:
                    return {number: (self._begin(low, high), high) for number, (low, high) in known.items()}
                reason = "it does not exist; run: headrace topics apply"
            except KafkaException:
                consumer.poll(0)
                reason = complaint.reason
            log.warning("%s cannot be read yet: %s", self._topic, reason)
            time.sleep(1)

    def _begin(self, low: int, high: int) -> int:
        return low if self._last is None else max(low, high - self._last)

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

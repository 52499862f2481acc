"""A compacted topic read whole, without a group, and followed: what every worker must know the newest of."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from pydantic import ValidationError

from producers.clients import Complaint, librdkafka
from schemas.broker import Broker
from schemas.control import ControlEntry

log = logging.getLogger(__name__)
WAIT_MS = 10_000
"""How long the broker may hold a fetch that finds nothing; an order ends the wait at once."""
_LOG_SECONDS = 10


class CompactedView:
    """The newest value of each key. A tombstone forgets the key, so the table is as large as what stands.

    One librdkafka client on a thread, for the life of the process: idle, it takes a fifth of the CPU of aiokafka's. One
    client a view: what a client asks for while a fetch is held at the broker waits behind that fetch.
    """

    def __init__(self, topic: str, broker: Broker) -> None:
        self._topic = topic
        self._broker = broker
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The newest value of a key."""
        return self._values.get(key)

    async def open(self) -> None:
        """Read to the present end, waiting for the log as long as it takes, then follow."""
        caught_up = asyncio.Event()
        tell = asyncio.get_running_loop().call_soon_threadsafe
        complaint = Complaint()
        consumer = self._consumer(complaint)  # here, so that settings which the client refuses are raised
        arguments = (consumer, complaint, lambda: tell(caught_up.set))
        threading.Thread(target=self._follow, args=arguments, name=self._topic, daemon=True).start()
        await caught_up.wait()

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
                return {
                    number: consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=_LOG_SECONDS)
                    for number in partitions
                }
            except KafkaException:
                consumer.poll(0)
                log.warning("%s cannot be read yet: %s", self._topic, complaint.reason)
                time.sleep(1)

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value


class ControlView(CompactedView):
    """`headrace.control`: the standing orders."""

    def cancelled(self, job: str, run: int) -> bool:
        """Whether an order to cancel this run of the job stands and has not lapsed."""
        value = self.get(job.encode())
        if value is None:
            return False
        try:
            entry = ControlEntry.model_validate_json(value)
        except ValidationError:  # a newer release's order: not one of ours to follow
            return False
        stands = entry.until is None or entry.until > datetime.now(UTC)
        return entry.action == "cancel" and run <= entry.run and stands

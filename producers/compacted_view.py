"""A compacted topic read without a group, and followed: what every process must know the newest of."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from producers.clients import librdkafka
from producers.whole_topic import messages
from schemas.broker import Broker
from schemas.errors import LogUnavailable

log = logging.getLogger(__name__)
WAIT_MS = 10_000
"""How long the broker may hold a fetch that finds nothing; an order ends the wait at once."""


class CompactedView:
    """The newest value of each key. A tombstone forgets the key, so the table is as large as what stands.

    One librdkafka client on a thread, for the life of the process: idle, it takes a fifth of the CPU of aiokafka's. One
    client a view: what a client asks for while a fetch is held at the broker waits behind that fetch. So another one,
    which holds no fetch, reads up to the present end first.

    `last`, where given, is how many offsets before its end each partition is read from on: enough for a topic of one
    key that is written all the time, and whose old values lie there until they are compacted.
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
        consumer = self._consumer()  # here, so that settings which the client refuses are raised
        threading.Thread(target=self._follow, args=(consumer, caught_up), name=self._topic, daemon=True).start()

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                **librdkafka(self._broker),
                "group.id": "headrace.views",  # the client wants one; it joins nothing and commits nothing
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": WAIT_MS,
            }
        )

    def _follow(self, consumer: Consumer, caught_up: Callable[[], object]) -> None:
        ends = self._read_whole()
        with contextlib.suppress(KafkaException):
            consumer.list_topics(self._topic, timeout=1)  # a client that knows no leader asks only each second
        consumer.assign([TopicPartition(self._topic, number, end) for number, end in ends.items()])
        caught_up()
        while True:
            message: Any = consumer.poll(WAIT_MS / 1000)
            if message is not None and not message.error():  # after an error the client itself tries again
                self._put(message.key() or b"", message.value())

    def _read_whole(self) -> dict[int, int]:
        """The end of each partition, after all before it is in the table."""
        while True:
            ends: dict[int, int] = {}
            try:
                for message in messages(self._broker, self._topic, last=self._last, ends=ends):
                    self._put(message.key() or b"", message.value())
            except LogUnavailable as error:
                log.warning("%s cannot be read yet: %s", self._topic, error)
                time.sleep(1)
            else:
                return ends

    def _put(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

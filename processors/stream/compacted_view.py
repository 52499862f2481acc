"""A compacted topic read whole, without a group, and followed: what every worker must know the newest of."""

import asyncio
import logging
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.control import ControlEntry

log = logging.getLogger(__name__)
WAIT_MS = 10_000
"""How long the broker may hold a fetch that finds nothing; an order ends the wait at once."""


class CompactedView:
    """The newest value of each key. A tombstone forgets the key, so the table is as large as what stands."""

    def __init__(self, topic: str, bootstrap: str) -> None:
        self._topic = topic
        self._bootstrap = bootstrap
        self._values: dict[bytes, bytes] = {}
        self._follower: asyncio.Task[None] | None = None

    def get(self, key: bytes) -> bytes | None:
        """The newest value of a key."""
        return self._values.get(key)

    async def open(self) -> None:
        """Read to the present end, waiting for the log as long as it takes, then follow."""
        consumer = AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=self._bootstrap,
            group_id=None,  # then every partition is this reader's
            auto_offset_reset="earliest",
            fetch_max_wait_ms=WAIT_MS,
            retry_backoff_ms=200,
        )
        while True:
            try:
                await consumer.start()
                ends = await consumer.end_offsets(consumer.assignment())
                break
            except KafkaError as error:
                log.warning("%s cannot be read yet: %r", self._topic, error)
                await asyncio.sleep(1)
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            await self._pull(consumer)
        self._follower = asyncio.create_task(self._follow(consumer))

    async def close(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                try:
                    await self._pull(consumer)
                except KafkaError as error:
                    log.warning("%s: %r", self._topic, error)
                    await asyncio.sleep(1)
        finally:
            await consumer.stop()

    async def _pull(self, consumer: AIOKafkaConsumer) -> None:
        for messages in (await consumer.getmany(timeout_ms=WAIT_MS)).values():
            for message in messages:
                key = message.key or b""
                if message.value is None:
                    self._values.pop(key, None)
                else:
                    self._values[key] = message.value


class ControlView(CompactedView):
    """`headrace.control`: the standing orders."""

    def cancelled(self, job: str) -> bool:
        """Whether an order to cancel the job stands and has not lapsed."""
        value = self.get(job.encode())
        if value is None:
            return False
        try:
            entry = ControlEntry.model_validate_json(value)
        except ValidationError:  # a newer release's order: not one of ours to follow
            return False
        return entry.action == "cancel" and (entry.until is None or entry.until > datetime.now(UTC))

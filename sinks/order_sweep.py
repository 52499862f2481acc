"""Lapsed orders and marks of the compacted topics, forgotten behind the projector."""

import asyncio
from collections import Counter

from sqlalchemy.ext.asyncio import AsyncEngine

from producers.lapsed import tombstones
from producers.publisher import KafkaPublisher
from schemas.broker import Broker
from sinks.sweeps import low_water


class OrderSweep:
    """One round over `headrace.control` and `headrace.attempts`."""

    def __init__(self, engine: AsyncEngine, broker: Broker, publish_seconds: float) -> None:
        self._engine = engine
        self._broker = broker
        self._seconds = publish_seconds

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Publish a tombstone for each; raises `DependencyDown`."""
        through = await low_water(self._engine)
        if through is None:
            return Counter()
        lapsed = await asyncio.to_thread(tombstones, self._broker, through)
        if lapsed and not dry:
            publisher = KafkaPublisher(self._broker, self._seconds)
            try:
                await publisher.publish(lapsed)
            finally:
                await publisher.close()
        return Counter(orders_and_marks=len(lapsed))

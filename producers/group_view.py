"""A consumer group as the broker sees it: how far it is, how many it has."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from confluent_kafka import ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from producers.clients import librdkafka
from producers.committed import committed_by_group
from schemas.broker import Broker
from schemas.errors import DependencyDown
from schemas.records import Partition

_TIMEOUT = 5.0
_T = TypeVar("_T")


class GroupView:
    """One group, asked by one client that is made when it is first asked; all blocks: for one thread without a loop.

    Every method raises `DependencyDown` while the log does not answer.
    """

    def __init__(self, broker: Broker, group: str, topics: Collection[str]) -> None:
        self._broker = broker
        self._group = group
        self._topics = topics
        self._client: AdminClient | None = None

    def lag(self, partitions: Collection[Partition]) -> int:
        """How many offsets lie beyond what the group has committed; all of a partition where it committed nothing."""
        through = asyncio.run(committed_by_group(self._broker, partitions, _TIMEOUT, [self._group]))[self._group]

        def ask(admin: AdminClient) -> int:
            latest: Any = OffsetSpec.latest()
            wanted = {TopicPartition(*partition): latest for partition in partitions}
            ends = admin.list_offsets(wanted, request_timeout=_TIMEOUT)
            return sum(
                future.result(_TIMEOUT).offset - through.get((place.topic, place.partition), 0)
                for place, future in ends.items()
            )

        return self._asked(ask)

    def members(self) -> int | None:
        """How many members the group has, None while it is rebalanced."""

        def ask(admin: AdminClient) -> int | None:
            (future,) = admin.describe_consumer_groups([self._group], request_timeout=_TIMEOUT).values()
            found = future.result(_TIMEOUT)
            return len(found.members) if found.state == ConsumerGroupState.STABLE else None

        return self._asked(ask)

    def partitions(self) -> int:
        """How many partitions the group's topics have."""

        def ask(admin: AdminClient) -> int:
            known = admin.list_topics(timeout=_TIMEOUT).topics
            return sum(len(known[topic].partitions) for topic in self._topics if topic in known)

        return self._asked(ask)

    def _asked(self, ask: Callable[[AdminClient], _T]) -> _T:
        if self._client is None:
            self._client = AdminClient(librdkafka(self._broker))
        try:
            return ask(self._client)
        except (KafkaException, TimeoutError) as error:
            raise DependencyDown("Kafka does not answer") from error

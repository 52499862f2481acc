"""How far each consumer group is behind: records, and the age of the oldest one waiting."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.errors import DependencyDown
from schemas.topics import DEAD_LETTERS, GROUPS

_TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One group's backlog on one topic: records, and seconds since the oldest of them was written."""

    group: str
    topic: str
    lag: int
    oldest_age_seconds: float


class LagSource:
    """Reads offsets by the admin API, and one record's timestamp for each partition that is behind (blocking)."""

    def __init__(self, broker: Broker) -> None:
        common = librdkafka(broker)
        self._admin = AdminClient(common)
        # A group id is required by the client; nothing is ever committed under it.
        self._reader = Consumer({**common, "group.id": f"headrace.lag.{uuid.uuid4()}", "enable.auto.commit": False})

    def read(self) -> list[GroupLag]:
        """Every group and topic of `topics.GROUPS`; raises `DependencyDown` when the log does not answer."""
        try:
            return [self._lag(group, topic) for group, topics in GROUPS.items() for topic in topics]
        except KafkaException as error:
            raise DependencyDown("Kafka does not answer") from error

    def dead_letters(self) -> int:
        """Records on the dead-letter topic."""
        try:
            ends, begins = self._offsets(DEAD_LETTERS.name, OffsetSpec.latest()), self._begins(DEAD_LETTERS.name)
        except KafkaException as error:
            raise DependencyDown("Kafka does not answer") from error
        return sum(ends[partition] - begins[partition] for partition in ends)

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def _lag(self, group: str, topic: str) -> GroupLag:
        ends, begins = self._offsets(topic, OffsetSpec.latest()), self._begins(topic)
        request = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number) for number in ends])
        future = self._admin.list_consumer_group_offsets([request], request_timeout=_TIMEOUT)[group]
        committed = {item.partition: item.offset for item in future.result(_TIMEOUT).topic_partitions}
        nexts = {number: max(committed.get(number, -1), begins[number]) for number in ends}
        behind = {number: at for number, at in nexts.items() if at < ends[number]}
        ages = [self._age(TopicPartition(topic, number, at)) for number, at in behind.items()]
        return GroupLag(group, topic, sum(ends[number] - at for number, at in behind.items()), max(ages, default=0.0))

    def _begins(self, topic: str) -> dict[int, int]:
        return self._offsets(topic, OffsetSpec.earliest())

    def _offsets(self, topic: str, which: Any) -> dict[int, int]:
        partitions = self._admin.list_topics(topic, timeout=_TIMEOUT).topics[topic].partitions
        futures = self._admin.list_offsets(
            {TopicPartition(topic, number): which for number in partitions}, request_timeout=_TIMEOUT
        )
        return {partition.partition: future.result(_TIMEOUT).offset for partition, future in futures.items()}

    def _age(self, position: TopicPartition) -> float:
        self._reader.assign([position])
        message = self._reader.poll(_TIMEOUT)
        self._reader.unassign()
        if message is None or message.error():
            return 0.0
        return max(0.0, time.time() - message.timestamp()[1] / 1000)

"""Records that somebody with access tries to put on our topics by hand: the broker itself refuses some, and keeps none.

`tests/loss/test_loss.py` has what becomes of those that it takes.
"""

import asyncio
import time
import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from producers import provisioning
from producers.clients import librdkafka
from producers.credentials import aiokafka
from schemas.broker import Broker
from schemas.topics import TOPICS

LARGEST = 1024 * 1024 + 12
"""Bytes of a batch, Kafka's default."""
AHEAD_MS = 3600 * 1000
YEAR = 365 * 24 * 3600
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module")
def log(kafka: Broker) -> Broker:
    provisioning.apply(kafka, dev=True)
    return kafka


def _refusals(broker: Broker, **record: Any) -> dict[str, int]:
    """What the broker says to the same record on each of our topics."""
    said: dict[str, int] = {}

    def hear(error: KafkaError | None, message: Any) -> None:
        said[message.topic()] = KafkaError.NO_ERROR if error is None else error.code()

    producer = Producer(librdkafka(broker) | {"message.max.bytes": 4 * LARGEST})  # else the client itself refuses
    for topic in TOPICS:
        producer.produce(topic.name, **{"value": b"{}", "key": b"k", **record}, partition=0, on_delivery=hear)
    assert producer.flush(20) == 0
    return said


def _ends(broker: Broker) -> list[int]:
    admin = AdminClient(librdkafka(broker))
    wanted = {TopicPartition(topic.name, 0): OffsetSpec.latest() for topic in TOPICS}
    return [found.result(10).offset for found in admin.list_offsets(wanted).values()]


@pytest.mark.parametrize(
    "record", [{"value": b"x" * 1_100_000}, {"headers": [("h", b"x" * 1_100_000)]}], ids=["value", "header"]
)
def test_a_record_larger_than_its_topic_takes_is_refused(log: Broker, record: dict[str, Any]) -> None:
    before = _ends(log)
    assert _refusals(log, **record) == {topic.name: KafkaError.MSG_SIZE_TOO_LARGE for topic in TOPICS}
    assert _ends(log) == before


def test_a_record_of_next_year_is_refused(log: Broker) -> None:
    """Else its partition would count as read up to then, and jobs that wait on it as no longer kept."""
    before = _ends(log)
    at = int((time.time() + YEAR) * 1000)
    assert _refusals(log, timestamp=at) == {topic.name: KafkaError.INVALID_TIMESTAMP for topic in TOPICS}
    assert _ends(log) == before


async def test_records_of_every_compression_are_read(log: Broker) -> None:
    """A broker may be set to compress all: a worker that lacked a codec ended at the first record."""
    topic = f"codecs-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(librdkafka(log))
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)
    for codec in CODECS:
        producer = Producer(librdkafka(log) | {"compression.type": codec})
        producer.produce(topic, value=codec.encode() * 1000)
        assert producer.flush(20) == 0
    async with AIOKafkaConsumer(topic, **aiokafka(log), auto_offset_reset="earliest") as consumer:
        found = [await asyncio.wait_for(consumer.getone(), 20) for _ in CODECS]
    assert [record.value for record in found] == [codec.encode() * 1000 for codec in CODECS]


def test_no_topic_of_ours_is_declared_to_take_more_than_kafka_does_by_default(log: Broker) -> None:
    admin = AdminClient(librdkafka(log))
    asked = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in TOPICS]
    found = [future.result(10) for future in admin.describe_configs(asked).values()]
    limits = {(each["max.message.bytes"].value, each["message.timestamp.after.max.ms"].value) for each in found}
    assert limits == {(str(LARGEST), str(AHEAD_MS))}

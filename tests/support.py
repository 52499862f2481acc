"""What tests of several folders do: wait for a condition, read a topic whole."""

import os
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from producers.clients import librdkafka
from producers.lag import LagSource
from schemas.broker import Broker

T = TypeVar("T")
BESIDE = 3.0 if os.environ.get("PYTEST_XDIST_WORKER") else 1.0
"""What a wait may take longer where other tests run beside it; who promises a time is marked `alone`."""


def until(condition: Callable[[], T | None], seconds: float, what: str) -> T:
    """Wait for a condition, `seconds` on a machine of its own; the first value of it that is true."""
    deadline = time.monotonic() + seconds * BESIDE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return value


def delete_records(broker: Broker, *topics: str) -> None:
    """Empty topics: who reads from their begin finds nothing that was there before."""
    admin = AdminClient(librdkafka(broker))
    known = admin.list_topics(timeout=10).topics
    wanted: dict[TopicPartition, Any] = {
        TopicPartition(topic, number): OffsetSpec.latest() for topic in topics for number in known[topic].partitions
    }
    ends = {place: end.result(30).offset for place, end in admin.list_offsets(wanted).items()}
    before = [TopicPartition(place.topic, place.partition, end) for place, end in ends.items()]
    for future in admin.delete_records(before).values():
        future.result(30)


def environment(broker: Broker) -> dict[str, str]:
    """The variables by which a process reaches the broker."""
    told = {
        "": broker.bootstrap,
        "_PROTOCOL": broker.protocol,
        "_MECHANISM": broker.mechanism,
        "_USERNAME": broker.username,
        "_PASSWORD": broker.password.get_secret_value(),
        "_CA": broker.ca,
        "_CERTIFICATE": broker.certificate,
        "_KEY": broker.key,
    }
    return {f"HEADRACE_KAFKA{name}": str(value) for name, value in told.items() if value}


def behind(broker: Broker) -> dict[str, int]:
    """The groups with records that wait for more than half a second, and how many.

    Marks of transactions lie on a topic as well, and are nobody's to read: what is no record has no age.
    """
    source = LagSource(broker)
    try:
        return {group.group: group.lag for group in source.read() if group.oldest_age_seconds > 0.5}
    finally:
        source.close()


def read(broker: Broker, topic: str) -> list[Any]:
    """Everything that lies on a topic and was committed; of one partition in order."""
    settings = {"group.id": uuid.uuid4().hex, "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**librdkafka(broker), **settings})
    found = []
    unread = set(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in unread])
    while unread:  # until each partition's end was met: a transaction's own marks count there, but are no messages
        message = consumer.poll(10)
        assert message is not None
        if message.error() is None:
            found.append(message)
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            unread.discard(message.partition())  # told again where more has come since
    consumer.close()
    return found

"""What tests of several folders do: wait for a condition, read a topic whole."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from producers.clients import librdkafka
from schemas.broker import Broker


def until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def read(broker: Broker, topic: str) -> list[Any]:
    """Everything that lies on a topic."""
    consumer = Consumer({**librdkafka(broker), "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    found = []
    for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
        consumer.assign([TopicPartition(topic, number, low)])
        position = low
        while position < high:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            found.append(message)
            position = message.offset() + 1
    consumer.close()
    return found

"""A topic read whole, as it lies there now: what compacted topics are for."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.errors import LogUnavailable

_SECONDS = 10.0
_READER = {
    "group.id": "headrace.views",  # the client wants one; it joins nothing and commits nothing
    "enable.auto.commit": False,
    "enable.partition.eof": True,
}


def messages(broker: Broker, topic: str) -> Iterator[Any]:
    """Every message up to the end of each partition, of one partition in order (blocking).

    Raises `LogUnavailable` when the log does not answer, or has no such topic.
    """
    consumer = Consumer({**librdkafka(broker), **_READER})
    try:
        unread = set(consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions)
        if not unread:
            raise LogUnavailable(f"there is no topic {topic}; run: headrace topics apply")
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in unread])
        while unread:
            message: Any = consumer.poll(_SECONDS)
            if message is None:
                raise LogUnavailable("Kafka does not answer")
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise KafkaException(message.error())
    except KafkaException as error:
        raise LogUnavailable(error.args[0].str()) from error
    finally:
        consumer.close()

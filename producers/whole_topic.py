"""A topic read whole, as it lies there now: what compacted topics are for."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from producers.clients import Complaint, librdkafka
from schemas.broker import Broker
from schemas.errors import LogUnavailable

_SECONDS = 10.0
_READER = {
    "group.id": "headrace.views",  # the client wants one; it joins nothing and commits nothing
    "enable.auto.commit": False,
    "enable.partition.eof": True,  # the last offset may be a transaction's mark, which no reader is given
    "fetch.wait.max.ms": 50,  # how long the end takes to be told
}


def messages(
    broker: Broker, topic: str, *, last: int | None = None, ends: dict[int, int] | None = None
) -> Iterator[Any]:
    """Every committed message up to the end of each partition, of one partition in order (blocking).

    `last`, where given: only those among so many offsets before each end. `ends`, where given, is told the offset after
    each partition's end, from which a reader goes on. Raises `LogUnavailable` when the log does not answer, or has no
    such topic.
    """
    complaint = Complaint()
    consumer = Consumer({**librdkafka(broker), **_READER, "error_cb": complaint.hear})
    try:
        unread = set(consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions)
        if not unread:
            raise LogUnavailable(f"there is no topic {topic}; run: headrace topics apply")
        consumer.assign([TopicPartition(topic, number, _begin(consumer, topic, number, last)) for number in unread])
        while unread:
            message: Any = consumer.poll(_SECONDS)
            if message is None:
                raise LogUnavailable(complaint.reason)
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
                if ends is not None:
                    ends[message.partition()] = message.offset()
            else:
                raise KafkaException(message.error())
    except KafkaException as error:
        consumer.poll(0)
        raise LogUnavailable(complaint.reason) from error
    finally:
        consumer.close()


def _begin(consumer: Consumer, topic: str, number: int, last: int | None) -> int:
    if last is None:
        return OFFSET_BEGINNING
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_SECONDS)
    return max(low, high - last)

"""A consumer group as its own worker's watchdog sees it, on real Kafka."""

import uuid

from confluent_kafka import Consumer, Producer, TopicPartition

from producers import provisioning
from producers.clients import librdkafka
from producers.group_view import GroupView
from schemas.broker import Broker
from schemas.records import Partition
from schemas.topics import CHUNK

GROUP = "headrace.chunk"


def test_a_group_is_behind_by_what_lies_beyond_its_committed_offset(kafka: Broker) -> None:
    provisioning.apply(kafka, dev=True)
    producer = Producer(librdkafka(kafka))
    for _ in range(5):
        producer.produce(CHUNK.name, uuid.uuid4().bytes, partition=1)
    producer.flush(20)
    group, places = GroupView(kafka, GROUP, [CHUNK.name]), [Partition(CHUNK.name, 1)]
    before = group.lag(places)
    assert before >= 5
    client = Consumer({**librdkafka(kafka), "group.id": GROUP, "enable.auto.commit": False})
    _, end = client.get_watermark_offsets(TopicPartition(CHUNK.name, 1), timeout=10)
    client.commit(offsets=[TopicPartition(CHUNK.name, 1, end - 2)], asynchronous=False)
    client.close()
    assert group.lag(places) == 2
    assert group.partitions() == CHUNK.partitions

"""A group that takes over a topic from the group of the release before begins where that one stood, and only then."""

import asyncio
import uuid

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka.admin import AdminClient, NewTopic

from producers.clients import librdkafka
from producers.takeover import _committed, take_over
from schemas.broker import Broker


def _topic(broker: Broker) -> str:
    name = f"taken-{uuid.uuid4().hex}"
    admin = AdminClient(librdkafka(broker))
    for made in admin.create_topics([NewTopic(name, 2, 1)]).values():
        made.result()
    return name


def _consumer(broker: Broker, group: str, topic: str) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    consumer.subscribe([topic])
    return consumer


async def _commit(broker: Broker, group: str, topic: str, offsets: dict[int, int]) -> None:
    consumer = _consumer(broker, group, topic)
    await consumer.start()
    await consumer.commit({TopicPartition(topic, number): OffsetAndMetadata(at, "") for number, at in offsets.items()})
    await consumer.stop()


async def test_a_group_begins_where_its_predecessor_ended_and_never_goes_back(kafka: Broker) -> None:
    topic = await asyncio.to_thread(_topic, kafka)
    before, now = uuid.uuid4().hex, uuid.uuid4().hex
    await _commit(kafka, before, topic, {0: 7, 1: 3})
    assert await take_over(kafka, now, topic, before)
    at = {TopicPartition(topic, 0): 7, TopicPartition(topic, 1): 3}
    assert await _committed(kafka, now, topic) == at
    await _commit(kafka, now, topic, {0: 9})
    await _commit(kafka, before, topic, {1: 5})  # the release before was back for a while
    assert await take_over(kafka, now, topic, before)
    assert await _committed(kafka, now, topic) == {TopicPartition(topic, 0): 9, TopicPartition(topic, 1): 5}


async def test_it_waits_while_the_predecessor_reads_and_is_not_moved_once_it_has_begun(kafka: Broker) -> None:
    topic = await asyncio.to_thread(_topic, kafka)
    before, now = uuid.uuid4().hex, uuid.uuid4().hex
    old = _consumer(kafka, before, topic)
    await old.start()
    assert not await take_over(kafka, now, topic, before)
    await old.commit({TopicPartition(topic, 0): OffsetAndMetadata(4, "")})
    await old.stop()
    member = _consumer(kafka, now, topic)
    await member.start()
    assert await take_over(kafka, now, topic, before)
    assert await _committed(kafka, now, topic) == {}
    await member.stop()


async def test_where_there_was_no_release_before_there_is_nothing_to_wait_for(kafka: Broker) -> None:
    topic = await asyncio.to_thread(_topic, kafka)
    assert await take_over(kafka, uuid.uuid4().hex, topic, uuid.uuid4().hex)

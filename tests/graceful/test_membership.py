"""A step of this release reads other topics than that of the release before, in the same slot of the same group."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import AdminClient, NewTopic

from processors.stream.kafka_stream import KafkaStream
from processors.stream.port import Group
from processors.watermark import Watermarks
from producers.clients import librdkafka
from producers.membership import leave_for_others, members
from schemas.broker import Broker


@asynccontextmanager
async def _member(broker: Broker, name: str, slot: str, topics: Sequence[str]) -> AsyncIterator[AIOKafkaConsumer]:
    """A member as our stream makes it, without our loop."""
    group = Group(name, slot, tuple(topics), broker)
    consumer = KafkaStream(group, Watermarks())._consumer()
    consumer.subscribe(list(topics))
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _given(consumer: AIOKafkaConsumer, topics: set[str]) -> None:
    """Wait until the member has partitions of these topics and of no others."""
    async with asyncio.timeout(20):
        while {place.topic for place in consumer.assignment()} != topics:
            await asyncio.sleep(0.1)


def _topics(broker: Broker) -> tuple[str, str]:
    names = f"before-{uuid.uuid4().hex}", f"beside-{uuid.uuid4().hex}"
    admin = AdminClient(librdkafka(broker))
    for made in admin.create_topics([NewTopic(name, 4, 1) for name in names]).values():
        made.result()
    return names


async def test_a_slot_that_comes_back_for_one_topic_more_is_given_it_while_others_read_on(kafka: Broker) -> None:
    before, beside = await asyncio.to_thread(_topics, kafka)
    name = uuid.uuid4().hex
    async with _member(kafka, name, "step-2", [before]) as other:
        async with _member(kafka, name, "step-1", [before]) as old:
            await _given(old, {before})
        assert not await leave_for_others(kafka, name, "step-1", [before])
        assert await leave_for_others(kafka, name, "step-1", [before, beside])
        async with _member(kafka, name, "step-1", [before, beside]) as new:
            await _given(new, {before, beside})
            await _given(other, {before})
            found = {member.client: set(member.topics) for member in await members(kafka, name)}
            assert found == {"step-1": {before, beside}, "step-2": {before}}


async def test_a_slot_that_comes_back_for_another_topic_leaves_the_first_to_others(kafka: Broker) -> None:
    before, beside = await asyncio.to_thread(_topics, kafka)
    name = uuid.uuid4().hex
    async with _member(kafka, name, "step-2", [before]) as other:
        async with _member(kafka, name, "step-1", [before]) as old:
            await _given(old, {before})
        assert await leave_for_others(kafka, name, "step-1", [beside])
        async with _member(kafka, name, "step-1", [beside]) as new:
            await _given(new, {beside})
            async with asyncio.timeout(20):
                while len(other.assignment()) < 4:
                    await asyncio.sleep(0.1)


async def test_a_group_that_nobody_ever_joined_has_no_members(kafka: Broker) -> None:
    assert await members(kafka, uuid.uuid4().hex) == []
    assert not await leave_for_others(kafka, uuid.uuid4().hex, "step-1", ["anything"])

"""A group that reads a topic from now on begins where the group of the release before it came to."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from producers.credentials import aiokafka
from producers.membership import members
from schemas.broker import Broker
from schemas.errors import DependencyDown


async def take_over(broker: Broker, group: str, topic: str, predecessor: str) -> bool:
    """Commit for `group` what `predecessor` has committed on `topic` beyond it; whether it may begin.

    It may not while a member of the predecessor reads the topic. A group with members of its own has begun before.
    Raises `DependencyDown` when the log is away.
    """
    if await members(broker, group):
        return True
    if any(topic in member.topics for member in await members(broker, predecessor)):
        return False
    try:
        theirs, ours = await _committed(broker, predecessor, topic), await _committed(broker, group, topic)
        ahead = {place: offset for place, offset in theirs.items() if offset > ours.get(place, -1)}
        if ahead:
            await _commit(broker, group, ahead)
    except KafkaError as error:
        raise DependencyDown("Kafka does not answer") from error
    return True


async def _committed(broker: Broker, group: str, topic: str) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(**aiokafka(broker))
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {place: held.offset for place, held in found.items() if place.topic == topic and held.offset >= 0}


async def _commit(broker: Broker, group: str, offsets: dict[TopicPartition, int]) -> None:
    """As nobody's member: which the broker takes from an empty group alone."""
    consumer = AIOKafkaConsumer(**aiokafka(broker), group_id=group, enable_auto_commit=False)
    consumer.assign(list(offsets))
    try:
        await consumer.start()
        await consumer.commit({place: OffsetAndMetadata(offset, "") for place, offset in offsets.items()})
    finally:
        await consumer.stop()

"""What consumer groups have committed.

Asked through aiokafka: librdkafka's admin client ends the process where a broker is not, or not yet, the coordinator of
a group (confluentinc/librdkafka#5040), which every restart of a broker brings about.
"""

import asyncio
from collections.abc import Collection

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, KafkaError

from producers.credentials import aiokafka
from schemas.broker import Broker
from schemas.errors import DependencyDown
from schemas.topics import GROUPS

Place = tuple[str, int]
"""Topic and partition."""


async def committed_by_group(
    broker: Broker, places: Collection[Place], seconds: float, groups: Collection[str] = tuple(GROUPS)
) -> dict[str, dict[Place, int]]:
    """The next offset of each of `groups` (some of `topics.GROUPS`) at those of `places` where it has committed one.

    Raises `DependencyDown` when the log does not answer within `seconds`.
    """
    admin = AIOKafkaAdminClient(**aiokafka(broker), request_timeout_ms=int(1000 * seconds))
    try:
        async with asyncio.timeout(seconds):
            await admin.start()
            found = await asyncio.gather(*(_of(group, admin, places) for group in groups))
    except (KafkaError, TimeoutError) as error:
        raise DependencyDown("Kafka does not answer") from error
    finally:
        await admin.close()
    return dict(zip(groups, found, strict=True))


async def _of(group: str, admin: AIOKafkaAdminClient, places: Collection[Place]) -> dict[Place, int]:
    wanted = [TopicPartition(*place) for place in places if place[0] in GROUPS[group]]
    while True:
        try:
            found = await admin.list_consumer_group_offsets(group, partitions=wanted)
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError):
            found = {}
        if len(found) == len(wanted):
            return {(at.topic, at.partition): held.offset for at, held in found.items() if held.offset >= 0}
        await asyncio.sleep(0.1)  # the client passes over an error of the whole group, such as a coordinator that moves

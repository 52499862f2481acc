"""Who is a member of a consumer group, and for which topics.

A static member that comes back with other topics than before is given what it had (Kafka 4.1: a group that is stable
compares nothing but the protocol's name). So a release whose step reads one topic more would never be given it, and
one that reads a topic less would be given what it did not ask for.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorError,
    for_code,
)
from aiokafka.protocol.group import LeaveGroupRequest

from producers.credentials import aiokafka
from schemas.broker import Broker
from schemas.errors import DependencyDown

_SECONDS = 15.0
_MOVING = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError)


class Member(NamedTuple):
    """One member: the id that the broker gave it, the name of its client, what it asked to read."""

    id: str
    client: str
    topics: frozenset[str]


async def members(broker: Broker, group: str) -> list[Member]:
    """The members of a group, none where there is no such group; raises `DependencyDown` when the log is away."""
    async with _admin(broker) as admin:
        return await _members(admin, group)


async def leave_for_others(broker: Broker, group: str, client: str, topics: Collection[str]) -> bool:
    """Let the member of this client's name leave where it stands for other topics than these; whether it did.

    Raises `DependencyDown` when the log is away.
    """
    async with _admin(broker) as admin:
        same = frozenset(topics)  # of a group that is not stable nothing is told, and all are asked anew
        stale = [m for m in await _members(admin, group) if m.client == client and m.topics not in (frozenset(), same)]
        for member in stale:
            await _ask(admin, group, LeaveGroupRequest(group, member.id))
        return bool(stale)


@asynccontextmanager
async def _admin(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**aiokafka(broker), request_timeout_ms=int(1000 * _SECONDS))
    try:
        async with asyncio.timeout(_SECONDS):
            await admin.start()
            yield admin
    except (KafkaError, TimeoutError) as error:
        raise DependencyDown("Kafka does not answer") from error
    finally:
        await admin.close()


async def _members(admin: AIOKafkaAdminClient, group: str) -> list[Member]:
    while True:
        try:
            answers: Any = await admin.describe_consumer_groups([group])
        except _MOVING:
            await asyncio.sleep(0.1)
            continue
        error, _, _, _, _, found = answers[0].groups[0][:6]
        if for_code(error) not in _MOVING:
            return [_member(item) for item in found]
        await asyncio.sleep(0.1)


async def _ask(admin: AIOKafkaAdminClient, group: str, request: Any) -> None:
    node = await admin.find_coordinator(group)
    await admin._send_request_to_node(node, request)


def _member(item: Any) -> Member:
    number, client, _, metadata, _ = item[:5]
    topics = ConsumerProtocolMemberMetadata.decode(metadata).subscription if metadata else ()
    return Member(number, client, frozenset(topics))

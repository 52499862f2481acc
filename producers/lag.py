"""How far each consumer group is behind: records, and the age of the oldest one waiting.

Everything is asked at once, whatever the number of groups: a scrape must stay cheap, above all under a backlog.
"""

import asyncio
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from producers.clients import librdkafka
from producers.committed import Place, committed_by_group
from schemas.broker import Broker
from schemas.errors import DependencyDown
from schemas.topics import DEAD_LETTERS, GROUPS, JOBS, OPTIONAL_GROUPS

_TIMEOUT = 3.0
_READER = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "earliest",  # in place of a record that retention took meanwhile, the next one
    "fetch.message.max.bytes": 65536,  # only the first record of each partition is wanted
    "fetch.wait.max.ms": 10,  # a fetch that waits for more holds up the next one
}


@dataclass(frozen=True, slots=True)
class GroupLag:
    """One group's backlog on one topic: records, and seconds since the oldest of them was written."""

    group: str
    topic: str
    lag: int
    oldest_age_seconds: float


class LagSource:
    """Reads offsets by the admin API, and one record's timestamp for each partition that is behind (blocking)."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        common = librdkafka(broker)
        self._admin = AdminClient(common)
        # A group id is required by the client; nothing is ever committed under it.
        self._reader = Consumer({**common, **_READER, "group.id": f"headrace.lag.{uuid.uuid4()}"})

    def read(self) -> list[GroupLag]:
        """Every group and topic of `topics.GROUPS`, but optional groups that have never committed anything.

        Raises `DependencyDown` when the log does not answer.
        """
        with _answering():
            begins, ends = self._bounds({topic for topics in GROUPS.values() for topic in topics})
            committed = asyncio.run(committed_by_group(self._broker, list(ends), _TIMEOUT))
            behind = {
                (group, topic): _behind(topic, committed[group], begins, ends)
                for group, topics in GROUPS.items() for topic in topics
                if committed[group] or group not in OPTIONAL_GROUPS
            }  # fmt: skip
            written = self._written({(place, at) for places in behind.values() for place, at in places.items()})
        now = time.time()
        return [
            GroupLag(
                group, topic, sum(ends[place] - at for place, at in places.items()),
                max((max(0.0, now - written[item]) for item in places.items()), default=0.0),
            )
            for (group, topic), places in behind.items()
        ]  # fmt: skip

    def dead_letters(self) -> int:
        """Records on the dead-letter topic; raises as `read` does."""
        with _answering():
            begins, ends = self._bounds({DEAD_LETTERS.name})
        return sum(ends[place] - begins[place] for place in ends)

    def untaken(self) -> int:
        """Records of `headrace.jobs` that the dispatcher has not taken over yet; raises as `read` does."""
        group = next(reader for reader in JOBS.readers if reader != "headrace.projector")
        with _answering():
            begins, ends = self._bounds({JOBS.name})
            committed = asyncio.run(committed_by_group(self._broker, list(ends), _TIMEOUT, [group]))
        return sum(ends[place] - at for place, at in _behind(JOBS.name, committed[group], begins, ends).items())

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def _bounds(self, topics: Collection[str]) -> tuple[dict[Place, int], dict[Place, int]]:
        """The first and the next offset of every partition."""
        known = self._admin.list_topics(timeout=_TIMEOUT).topics
        places = [(topic, number) for topic in topics if topic in known for number in known[topic].partitions]
        specs: tuple[Any, ...] = (OffsetSpec.earliest(), OffsetSpec.latest())
        asked = [
            self._admin.list_offsets({TopicPartition(*place): which for place in places}, request_timeout=_TIMEOUT)
            for which in specs
        ]
        begins, ends = (
            {(found.topic, found.partition): future.result(_TIMEOUT).offset for found, future in futures.items()}
            for futures in asked
        )
        return begins, ends

    def _written(self, wanted: set[tuple[Place, int]]) -> dict[tuple[Place, int], float]:
        """When the record at each position was written, in Unix seconds."""
        found: dict[tuple[Place, int], float] = {}
        while rest := wanted - found.keys():
            positions = dict(rest)  # a partition is read at one position at a time
            times = self._first_of(positions)
            found |= {(place, at): times[place] for place, at in positions.items()}
        return found

    def _first_of(self, positions: Mapping[Place, int]) -> dict[Place, float]:
        found: dict[Place, float] = {}
        deadline = time.monotonic() + _TIMEOUT
        self._reader.assign([TopicPartition(*place, at) for place, at in positions.items()])
        try:
            while len(found) < len(positions):
                message = self._reader.poll(max(0.0, deadline - time.monotonic()))
                if message is None:
                    raise DependencyDown("Kafka does not answer")
                place = (message.topic() or "", message.partition() or 0)
                self._reader.incremental_unassign([TopicPartition(*place)])  # a pause would outlive the assignment
                found.setdefault(place, _time_of(message))
        finally:
            self._reader.unassign()
        return found


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (KafkaException, TimeoutError) as error:
        raise DependencyDown("Kafka does not answer") from error


def _behind(
    topic: str, committed: Mapping[Place, int], begins: Mapping[Place, int], ends: Mapping[Place, int]
) -> dict[Place, int]:
    """The partitions that hold records to be read, each with the offset of the first of them."""
    nexts = {place: max(committed.get(place, 0), begin) for place, begin in begins.items() if place[0] == topic}
    return {place: at for place, at in nexts.items() if at < ends[place]}


def _time_of(message: Message) -> float:
    error = message.error()
    if error is None:
        return message.timestamp()[1] / 1000
    if error.code() == KafkaError._PARTITION_EOF:  # retention was faster: nothing waits any more
        return time.time()
    raise KafkaException(error)

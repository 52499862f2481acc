"""Who follows a compacted topic has read it whole at once, whatever a transaction has left at its end."""

import asyncio
import time
import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from producers.clients import librdkafka
from producers.compacted_view import CompactedView
from schemas.broker import Broker
from tests.support import BESIDE, until


@pytest.fixture
def topic(kafka: Broker) -> str:
    name = uuid.uuid4().hex
    admin = AdminClient(librdkafka(kafka))
    for made in admin.create_topics([NewTopic(name, 1, 1)]).values():
        made.result(20)
    return name


@pytest.fixture
def producer(kafka: Broker) -> Producer:
    """One with a transaction open."""
    producer = Producer({**librdkafka(kafka), "transactional.id": uuid.uuid4().hex, "linger.ms": 0})
    producer.init_transactions(20)
    producer.begin_transaction()
    return producer


def _nothing(_: Producer, __: str) -> None: ...


def _committed(producer: Producer, topic: str) -> None:
    producer.produce(topic, "committed", "a")
    producer.commit_transaction(20)


def _aborted(producer: Producer, topic: str) -> None:
    producer.produce(topic, "aborted", "a")
    producer.flush(20)
    producer.abort_transaction(20)


def _open(producer: Producer, topic: str) -> None:
    producer.produce(topic, "open", "a")
    producer.flush(20)


def _taken_back(producer: Producer, topic: str) -> None:
    _committed(producer, topic)
    producer.begin_transaction()
    _aborted(producer, topic)


ENDS: list[tuple[Callable[[Producer, str], None], bytes | None]] = [
    (_nothing, None), (_committed, b"committed"), (_aborted, None), (_open, None), (_taken_back, b"committed"),
]  # fmt: skip


@pytest.mark.parametrize(("end", "value"), ENDS)
async def test_a_view_opens_at_the_end_that_a_transaction_left_and_follows_from_there(
    kafka: Broker, topic: str, producer: Producer, end: Callable[[Producer, str], None], value: bytes | None
) -> None:
    end(producer, topic)
    view = CompactedView(topic, kafka)
    begun = time.monotonic()
    await asyncio.wait_for(view.open(), 20)
    assert view.get(b"a") == value
    assert time.monotonic() - begun < 2.5 * BESIDE, "it waited for a fetch that the broker held for long"
    plain = Producer({**librdkafka(kafka), "linger.ms": 0})
    plain.produce(topic, "later", "b")
    plain.flush(20)
    if end is _open:
        producer.commit_transaction(20)
    until(lambda: view.get(b"b") == b"later", 30, "what came later is followed")
    assert view.get(b"a") == (b"open" if end is _open else value)

"""Publisher, provisioning and lag against the real broker."""

import asyncio
import os
import subprocess
import sys
import time
import uuid

import pytest
from aiokafka.partitioner import murmur2
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from producers import provisioning
from producers.clients import librdkafka
from producers.lag import LagSource
from producers.publisher import KafkaPublisher
from schemas.broker import Broker
from schemas.errors import DependencyDown, LogUnavailable
from schemas.records import Outgoing
from schemas.topics import CONTROL, DEAD_LETTERS, JOBS, TOPICS


@pytest.fixture
def topic(kafka: Broker) -> str:
    name = f"contract-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(librdkafka(kafka))
    for future in admin.create_topics([NewTopic(name, 5, 1)]).values():
        future.result(10)
    return name


def _read(kafka: Broker, topic: str, count: int) -> list[tuple[int, bytes, bytes]]:
    consumer = Consumer({**librdkafka(kafka), "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(5)])
    found = []
    while len(found) < count:
        message = consumer.poll(10)
        assert message is not None
        found.append((message.partition(), message.key(), message.value()))
    consumer.close()
    return found


async def test_keys_fall_on_the_partitions_of_javas_partitioner(kafka: Broker, topic: str) -> None:
    publisher = KafkaPublisher(kafka)
    keys = [uuid.uuid4().hex.encode() for _ in range(1000)]
    await publisher.publish([Outgoing(topic, key, b"") for key in keys])
    await publisher.close()
    placed = {key: partition for partition, key, _ in _read(kafka, topic, 1000)}
    assert placed == {key: (murmur2(key) & 0x7FFFFFFF) % 5 for key in keys}


async def test_a_spread_chooses_the_partition_and_order_is_kept(kafka: Broker, topic: str) -> None:
    publisher = KafkaPublisher(kafka)
    await publisher.publish([Outgoing(topic, b"k", b"%d" % n, (), n) for n in range(50)])
    await publisher.close()
    found = _read(kafka, topic, 50)
    assert all(int(value) % 5 == partition for partition, _, value in found)
    for partition in range(5):
        values = [int(value) for place, _, value in found if place == partition]
        assert values == sorted(values)


async def test_a_log_that_is_away_is_said_in_time_and_nothing_hangs() -> None:
    (port,) = ports.free(1)
    publisher = KafkaPublisher(Broker(f"127.0.0.1:{port}"), seconds=1.0)
    began = time.monotonic()
    with pytest.raises(LogUnavailable):
        await publisher.ping()
    with pytest.raises(LogUnavailable) as raised:
        await publisher.publish([Outgoing("any", b"k", b"v")])
    assert raised.value.retry_after is not None
    assert time.monotonic() - began < 8
    await publisher.close()


def test_topics_are_planned_made_once_and_checked(kafka: Broker) -> None:
    provisioning.apply(kafka, dev=True)
    assert provisioning.plan(kafka, dev=True) == []
    assert provisioning.apply(kafka, dev=True) == []
    provisioning.check(kafka, tuple(topic.name for topic in TOPICS), dev=True)
    with pytest.raises(provisioning.TopicsNotReady, match="headrace topics apply"):
        provisioning.check(kafka, ("never-made",), dev=True)
    with pytest.raises(provisioning.TopicsNotReady, match="HEADRACE_DEV"):
        provisioning.check(kafka, (JOBS.name,))


def test_a_changed_setting_is_seen_and_mended(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    provisioning.apply(kafka, dev=True)
    other = JOBS.__class__(JOBS.name, JOBS.partitions + 1, JOBS.records, JOBS.key, JOBS.readers, retention_ms=3_600_000)
    monkeypatch.setattr(provisioning, "TOPICS", (other,))
    assert {change.action for change in provisioning.plan(kafka, dev=True)} == {"partitions", "config"}
    provisioning.apply(kafka, dev=True)
    assert provisioning.plan(kafka, dev=True) == []


def test_provisioning_says_when_the_log_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provisioning, "_TIMEOUT", 0.5)
    (port,) = ports.free(1)
    with pytest.raises(DependencyDown):
        provisioning.check(Broker(f"127.0.0.1:{port}"), (CONTROL.name,))


async def test_lag_counts_what_is_not_committed_and_how_old_it_is(kafka: Broker) -> None:
    provisioning.apply(kafka, dev=True)
    source = LagSource(kafka)
    before = {(item.group, item.topic): item for item in await asyncio.to_thread(source.read)}
    letters = await asyncio.to_thread(source.dead_letters)
    publisher = KafkaPublisher(kafka)
    await publisher.publish([Outgoing("headrace.embed", b"k", b"v") for _ in range(7)])
    await publisher.publish([Outgoing(DEAD_LETTERS.name, b"k", b"v")])
    await publisher.close()
    after = {(item.group, item.topic): item for item in await asyncio.to_thread(source.read)}
    where = ("headrace.embed", "headrace.embed")
    assert after[where].lag == before[where].lag + 7
    assert 0 < after[where].oldest_age_seconds < 600
    assert await asyncio.to_thread(source.dead_letters) == letters + 1
    source.close()


def test_a_worker_without_its_topics_refuses_to_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Kafka(tmp_path_factory.mktemp("empty-kafka"), *ports.free(2))
    broker = children.start(server)
    try:
        environment = {
            **os.environ, "HEADRACE_KAFKA": server.broker.bootstrap, "HEADRACE_DEV": "true", "HEADRACE_ENGINES": "fake",
            "HEADRACE_BLOBS": f"file://{tmp_path_factory.mktemp('blobs')}",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "processors.worker", "chunk"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0
        assert "headrace topics apply" in done.stderr
    finally:
        children.end([broker])

"""`headrace topics apply` on a log that the release before made and that is in use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from producers import provisioning
from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.topics import JOBS, TOPICS
from tests.support import read
from tests.upgrade import releases


@pytest.fixture
def made_before(tmp_path: Path) -> Iterator[Broker]:
    """A broker with the last release's topics, of which one is smaller and one is kept longer than declared."""
    server = Kafka(tmp_path / "kafka", *ports.free(2))
    with children.running(server):
        admin = AdminClient(librdkafka(server.broker))
        topics = releases.kept("topics.json")
        topics[JOBS.name] |= {"partitions": 2, "settings": {"retention.ms": "86400000"}}
        wanted = [NewTopic(name, topic["partitions"], 1, config=topic["settings"]) for name, topic in topics.items()]
        for made in admin.create_topics(wanted).values():
            made.result()
        yield server.broker


def test_a_log_of_the_release_before_becomes_this_ones_and_keeps_its_records(made_before: Broker) -> None:
    producer = Producer(librdkafka(made_before))
    for number in range(20):
        producer.produce(JOBS.name, b"before", str(number).encode())
    assert producer.flush(10) == 0
    new = {topic.name for topic in TOPICS} - releases.kept("topics.json").keys()
    planned = provisioning.plan(made_before, dev=True)
    assert {change.topic for change in planned if change.action == "create"} == new
    said = {(change.action, change.detail) for change in planned if change.topic == JOBS.name}
    assert ("partitions", f"2 to {JOBS.partitions}") in said
    assert ("config", f"retention.ms={JOBS.retention_ms}") in said
    assert provisioning.apply(made_before, dev=True) == planned
    assert provisioning.plan(made_before, dev=True) == []
    for number in range(20):
        producer.produce(JOBS.name, b"after", str(number).encode())
    assert producer.flush(10) == 0
    found = [(message.key(), message.value()) for message in read(made_before, JOBS.name)]
    assert sorted(found) == sorted((str(n).encode(), when) for n in range(20) for when in (b"before", b"after"))


def test_partitions_and_topics_beyond_what_is_declared_stay(made_before: Broker) -> None:
    admin = AdminClient(librdkafka(made_before))
    for made in admin.create_topics([NewTopic("others", 1, 1)]).values():
        made.result()
    provisioning.apply(made_before, dev=True)
    for made in admin.create_partitions([NewPartitions(JOBS.name, 2 * JOBS.partitions)]).values():
        made.result()
    assert provisioning.apply(made_before, dev=True) == []
    topics = admin.list_topics(timeout=10).topics
    assert len(topics[JOBS.name].partitions) == 2 * JOBS.partitions
    assert "others" in topics

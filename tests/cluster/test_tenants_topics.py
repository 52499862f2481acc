"""A tenant reads its own results topic by consumer groups of its own, and nothing else."""

import logging
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from producers import access, provisioning
from producers.access import AccessNotReady
from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.topics import JOBS, RESULTS, tenant_results
from tests.cluster.servers import PLATFORM, Cluster
from tests.support import until

TENANTS = {"acme": "User:acme", "beta": "User:beta"}
ACME, BETA = tenant_results("acme").name, tenant_results("beta").name


@pytest.fixture(scope="module")
def platform(cluster: Cluster) -> Broker:
    broker = cluster.login(PLATFORM)
    provisioning.apply(broker, dev=True, tenants=TENANTS)
    until(
        lambda: provisioning.plan(broker, dev=True, tenants=TENANTS) == [], 10, "the rules, which come a moment later"
    )
    producer = Producer(librdkafka(broker))
    for topic in (RESULTS.name, ACME, BETA):
        producer.produce(topic, topic.encode(), b"k")
    assert producer.flush(10) == 0
    return broker


@pytest.fixture
def acme(cluster: Cluster, platform: Broker) -> Broker:
    return cluster.login("acme")


def _consumer(broker: Broker, group: str) -> Consumer:
    return Consumer({**librdkafka(broker), "group.id": group, "auto.offset.reset": "earliest"})


def _first(consumer: Consumer) -> bytes:
    """The first record's value; what the broker refuses is raised."""
    for _ in range(100):
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        return message.value() or b""
    raise AssertionError("nothing was read, and nothing refused")


def _subscribed(broker: Broker, topic: str, group: str) -> bytes:
    consumer = _consumer(broker, group)
    consumer.subscribe([topic])
    try:
        value = _first(consumer)
        consumer.commit(asynchronous=False)
        return value
    finally:
        consumer.close()


def test_topics_and_rules_are_planned_made_once_and_then_as_declared(cluster: Cluster, platform: Broker) -> None:
    assert provisioning.apply(platform, dev=True, tenants=TENANTS) == []
    third = TENANTS | {"third": "User:third"}
    planned = provisioning.plan(platform, dev=True, tenants=third)
    assert [(change.topic, change.action) for change in planned] == [
        ("headrace.results.third", "create"), ("headrace.results.third", "allow"),
        ("headrace.results.third", "allow"), ("third.", "allow"),
    ]  # fmt: skip
    assert planned[-1].detail == "User:third may READ group third.*"
    assert provisioning.apply(platform, dev=True, tenants=third) == planned
    until(lambda: provisioning.plan(platform, dev=True, tenants=third) == [], 10, "what was made to be shown")


def test_a_tenant_reads_its_own_topic_by_a_group_of_its_own_and_commits(acme: Broker) -> None:
    assert _subscribed(acme, ACME, f"acme.{uuid.uuid4().hex}") == ACME.encode()


@pytest.mark.parametrize("topic", [RESULTS.name, BETA, JOBS.name])
def test_a_tenant_is_refused_on_every_other_topic(acme: Broker, topic: str) -> None:
    with pytest.raises(KafkaException) as raised:
        _subscribed(acme, topic, f"acme.{uuid.uuid4().hex}")
    assert raised.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    consumer = _consumer(acme, "acme.none")
    with pytest.raises(KafkaException):  # nor is there a way round groups
        consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert consumer.poll(2) is None
    consumer.close()


@pytest.mark.parametrize("group", ["beta.mine", "headrace.projector", "acme", "acmeplus"])
def test_a_tenant_is_refused_in_every_other_group(acme: Broker, group: str) -> None:
    with pytest.raises(KafkaException) as raised:
        _subscribed(acme, ACME, group)
    assert raised.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_a_tenant_may_not_write_not_even_to_its_own_topic(acme: Broker) -> None:
    refused: list[int] = []
    producer = Producer(librdkafka(acme))
    for topic in (ACME, BETA, RESULTS.name):
        producer.produce(topic, b"forged", on_delivery=lambda error, _: refused.append(error.code() if error else 0))
    producer.flush(15)
    assert refused == [KafkaError.TOPIC_AUTHORIZATION_FAILED] * 3


def test_a_tenant_sees_no_topic_but_its_own(acme: Broker) -> None:
    assert set(_consumer(acme, "acme.look").list_topics(timeout=10).topics) == {ACME}


def test_what_is_no_longer_declared_stays_and_is_told(platform: Broker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert provisioning.apply(platform, dev=True, tenants={"beta": "User:beta"}) == []
    assert "left as it is: User:acme may READ topic headrace.results.acme" in caplog.text
    assert provisioning.plan(platform, dev=True, tenants=TENANTS) == []


def test_a_login_that_may_make_neither_topics_nor_rules_is_told_so(acme: Broker) -> None:
    with pytest.raises(provisioning.TopicsNotReady, match="may not look at the topics"):
        provisioning.plan(acme, dev=True, tenants=TENANTS)
    with pytest.raises(provisioning.TopicsNotReady, match="create failed"):
        provisioning.apply(acme, dev=True)
    with pytest.raises(AccessNotReady, match="not allowed to say that User:acme may READ topic"):
        access.grant(AdminClient(librdkafka(acme)), access.rules("acme", "User:acme"))


@pytest.mark.parametrize(
    ("tenant", "principal"),
    [("headrace", "User:x"), ("a.b", "User:x"), ("", "User:x"), ("*", "User:x"), ("acme", "User:*"), ("acme", "acme")],
)
def test_a_tenant_or_principal_that_would_open_more_is_refused(tenant: str, principal: str) -> None:
    with pytest.raises(AccessNotReady, match="HEADRACE_TENANT_TOPICS"):
        access.rules(tenant, principal)


def test_a_broker_without_an_authorizer_is_a_warning_for_development_and_else_refused(
    kafka: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        provisioning.apply(kafka, dev=True, tenants=TENANTS)
        assert provisioning.plan(kafka, dev=True, tenants=TENANTS) == []
    assert "the broker has no authorizer" in caplog.text
    with pytest.raises(AccessNotReady, match="has no authorizer"):
        provisioning.plan(kafka, tenants=TENANTS)

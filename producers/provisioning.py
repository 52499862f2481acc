"""Topics as declared: what is missing or different, making it so, and refusing to work where it is not so."""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from producers import access
from producers.clients import Complaint, librdkafka
from schemas.broker import Broker
from schemas.errors import DependencyDown, HeadraceError
from schemas.topics import TOPICS, Topic, tenant_results

Tenants = Mapping[str, str]
NOBODY: Tenants = MappingProxyType({})
_TIMEOUT = 10.0


class TopicsNotReady(HeadraceError):
    """The log does not hold the topics that this release works with; the detail says what to run."""

    code = "topics_not_ready"
    title = "Topics are missing; run: headrace topics apply"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the declaration and the log. `action`: create, partitions, config or allow."""

    topic: str
    action: str
    detail: str


def plan(broker: Broker, *, dev: bool = False, tenants: Tenants = NOBODY) -> list[Change]:
    """What `apply` would do, nothing where the log is as declared.

    `tenants` (tenant to Kafka principal) are those with a results topic of their own, which that principal may read.
    Raises `DependencyDown` when the log is away, `TopicsNotReady` or `AccessNotReady` when it refuses.
    """
    _, changes, rules = _look(broker, tenants, dev=dev)
    return changes + _as_changes(rules)


def apply(broker: Broker, *, dev: bool = False, tenants: Tenants = NOBODY) -> list[Change]:
    """Make the log as declared and return what was done; a second call does nothing.

    `dev` allows one replica; otherwise three with two in sync. Partitions and rules are only ever added.
    """
    admin, changes, rules = _look(broker, tenants, dev=dev)
    declared = {topic.name: topic for topic in _declared(tenants)}
    for change in changes:
        try:
            _carry_out(admin, change, declared[change.topic], dev=dev)
        except KafkaException as error:
            raise TopicsNotReady(f"topic {change.topic}: {change.action} failed: {error.args[0].str()}") from error
    access.grant(admin, rules)
    _await_topics(admin, {change.topic for change in changes})
    return changes + _as_changes(rules)


def check(broker: Broker, topics: tuple[str, ...], *, dev: bool = False) -> None:
    """Raise `TopicsNotReady` unless each of `topics` exists with three replicas (one suffices with `dev`)."""
    _, metadata = _connect(broker)
    missing = [name for name in topics if name not in metadata.topics]
    if missing:
        raise TopicsNotReady(f"missing topics {', '.join(missing)}; run: headrace topics apply")
    if dev:
        return
    thin = [name for name in topics if any(len(p.replicas) < 3 for p in metadata.topics[name].partitions.values())]
    if thin:
        raise TopicsNotReady(f"topics with less than 3 replicas: {', '.join(thin)}; only HEADRACE_DEV=true allows that")


def _look(broker: Broker, tenants: Tenants, *, dev: bool) -> tuple[AdminClient, list[Change], list[AclBinding]]:
    admin, metadata = _connect(broker)
    found = {name: len(topic.partitions) for name, topic in metadata.topics.items()}
    try:
        changes = _differences(admin, found, _declared(tenants), dev=dev)
    except KafkaException as error:
        raise TopicsNotReady(f"this login may not look at the topics: {error.args[0].str()}") from error
    return admin, changes, access.missing(admin, next(iter(metadata.brokers)), tenants, dev=dev)


def _differences(admin: AdminClient, found: Mapping[str, int], declared: list[Topic], *, dev: bool) -> list[Change]:
    configs = _configs(admin, [topic for topic in declared if topic.name in found])
    changes = []
    for topic in declared:
        if topic.name not in found:
            changes.append(Change(topic.name, "create", f"{topic.partitions} partitions"))
            continue
        if found[topic.name] < topic.partitions:
            changes.append(Change(topic.name, "partitions", f"{found[topic.name]} to {topic.partitions}"))
        wanted = _settings(topic, dev=dev)
        changes += [
            Change(topic.name, "config", f"{key}={value}")
            for key, value in wanted.items()
            if configs[topic.name].get(key) != value
        ]
    return changes


def _declared(tenants: Tenants) -> list[Topic]:
    return [*TOPICS, *(tenant_results(tenant) for tenant in sorted(tenants))]


def _as_changes(rules: list[AclBinding]) -> list[Change]:
    return [Change(rule.name, "allow", access.told(rule)) for rule in rules]


def _carry_out(admin: AdminClient, change: Change, topic: Topic, *, dev: bool) -> None:
    futures: Mapping[Any, Future[Any]]
    if change.action == "create":
        new = NewTopic(topic.name, topic.partitions, 1 if dev else 3, config=_settings(topic, dev=dev))
        futures = admin.create_topics([new], operation_timeout=_TIMEOUT)
    elif change.action == "partitions":
        futures = admin.create_partitions([NewPartitions(topic.name, topic.partitions)])
    else:
        key, _, value = change.detail.partition("=")
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry])
        futures = admin.incremental_alter_configs([resource])
    for future in futures.values():
        future.result(_TIMEOUT)


def _settings(topic: Topic, *, dev: bool) -> dict[str, str]:
    return topic.settings() | {"min.insync.replicas": "1" if dev else "2"}


def _await_topics(admin: AdminClient, names: set[str]) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not names <= _metadata(admin).topics.keys():  # a broker hears of them a moment after the controller
        if time.monotonic() > deadline:
            raise TopicsNotReady("topics were made, and the log does not show them yet; run: headrace topics plan")
        time.sleep(0.05)


def _connect(broker: Broker) -> tuple[AdminClient, ClusterMetadata]:
    complaint = Complaint()
    settings: dict[str, Any] = librdkafka(broker) | {"error_cb": complaint.hear}
    admin = AdminClient(settings)
    return admin, _metadata(admin, complaint)


def _metadata(admin: AdminClient, complaint: Complaint | None = None) -> ClusterMetadata:
    try:
        return admin.list_topics(timeout=_TIMEOUT)
    except KafkaException as error:
        admin.poll(0)
        raise DependencyDown((complaint or Complaint()).reason) from error


def _configs(admin: AdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    futures = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics])
    return {
        resource.name: {key: entry.value for key, entry in future.result(_TIMEOUT).items()}
        for resource, future in futures.items()
    }

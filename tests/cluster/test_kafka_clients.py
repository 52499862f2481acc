"""Every kind of client against a broker that wants TLS and a login; each refusal says what to check, and no secret."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from producers import provisioning
from producers.compacted_view import CompactedView
from producers.credentials import aiokafka
from producers.lag import LagSource
from producers.publisher import KafkaPublisher
from schemas.broker import Broker
from schemas.errors import DependencyDown, LogUnavailable
from schemas.records import Outgoing
from schemas.topics import CONTROL, EMBED, TOPICS
from tests.cluster.servers import PLATFORM, Cluster
from tests.loss.harness import Bench
from tests.support import environment, read, until

Way = Callable[[Cluster], Broker]
WAYS: dict[str, Way] = {
    "PLAIN": lambda cluster: cluster.admin,
    "SCRAM-SHA-256": lambda cluster: cluster.login(PLATFORM, "SCRAM-SHA-256"),
    "SCRAM-SHA-512": lambda cluster: cluster.login(PLATFORM),
    "mutual TLS": lambda cluster: cluster.mutual,
}
WRONG = "not-the-password"
REFUSED: dict[str, tuple[Way, str]] = {
    "a wrong password": (lambda c: replace(c.admin, password=SecretStr(WRONG)), "refuses the login"),
    "a wrong SCRAM password": (lambda c: replace(c.login(PLATFORM), password=SecretStr(WRONG)), "refuses the login"),
    "another authority": (lambda c: replace(c.admin, ca=c.stranger), "no TLS with Kafka"),
    "no authority of its own": (lambda c: replace(c.admin, ca=None), "no TLS with Kafka"),
    "a name the certificate lacks": (
        lambda c: replace(c.admin, bootstrap=c.admin.bootstrap.replace("127.0.0.1", "localhost")), "no TLS with Kafka",
    ),
    "no encryption": (lambda c: Broker(c.admin.bootstrap), "HEADRACE_KAFKA_PROTOCOL"),
    "no client certificate": (
        lambda c: replace(c.mutual, certificate=None, key=None), "no TLS with Kafka.*certificate required",
    ),
}  # fmt: skip


@pytest.fixture(params=WAYS)
def broker(request: pytest.FixtureRequest, cluster: Cluster) -> Broker:
    return WAYS[request.param](cluster)


@pytest.fixture(params=REFUSED)
def refused(request: pytest.FixtureRequest, cluster: Cluster) -> tuple[Broker, str]:
    way, told = REFUSED[request.param]
    return way(cluster), told


async def test_publisher_admin_lag_and_views_are_let_in(broker: Broker) -> None:
    await asyncio.to_thread(provisioning.apply, broker, dev=True)
    assert await asyncio.to_thread(provisioning.plan, broker, dev=True) == []
    await asyncio.to_thread(provisioning.check, broker, tuple(topic.name for topic in TOPICS), dev=True)
    source, publisher, key = LagSource(broker), KafkaPublisher(broker), uuid.uuid4().hex.encode()
    before = await asyncio.to_thread(_lag, source)
    await publisher.ping()
    await publisher.publish([Outgoing(EMBED.name, key, b"v"), Outgoing(CONTROL.name, key, b"an order")])
    await publisher.close()
    assert await asyncio.to_thread(_lag, source) == before + 1
    assert key in {message.key() for message in await asyncio.to_thread(read, broker, EMBED.name)}
    source.close()
    view = CompactedView(CONTROL.name, broker)
    await asyncio.wait_for(view.open(), 20)
    assert view.get(key) == b"an order"


@pytest.mark.parametrize("stream", ["faust", "kafka"])
@pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-512", "mutual TLS"])
def test_records_go_through_both_streams(cluster: Cluster, tmp_path: Path, stream: str, way: str) -> None:
    bench = Bench(WAYS[way](cluster), tmp_path, stream)
    try:
        bench.feed(range(12))
        bench.start()
        until(lambda: sum(bench.committed().values()) == 12, 60, "every offset committed")
        assert set(bench.emitted()) == set(range(12))
        assert not bench.dead()
    finally:
        bench.close()


def test_what_is_not_let_in_is_told_what_to_check_and_never_the_password(
    refused: tuple[Broker, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "_TIMEOUT", 3.0)
    broker, told = refused
    with pytest.raises(DependencyDown, match=told) as raised:
        provisioning.plan(broker, dev=True)
    assert WRONG not in f"{raised.value!r} {broker!r}"


async def test_what_is_not_let_in_publishes_nothing(refused: tuple[Broker, str]) -> None:
    publisher = KafkaPublisher(refused[0], seconds=1.0)
    with pytest.raises(LogUnavailable):
        await publisher.ping()
    with pytest.raises(LogUnavailable):
        await publisher.publish([Outgoing(EMBED.name, b"k", b"v")])
    await publisher.close()


async def test_a_consumer_of_ours_is_not_let_in_either(refused: tuple[Broker, str]) -> None:
    consumer = AIOKafkaConsumer(EMBED.name, group_id=uuid.uuid4().hex, **aiokafka(refused[0]), request_timeout_ms=2000)
    with pytest.raises(KafkaError):
        await consumer.start()
    await consumer.stop()
    await _hung_up()


async def _hung_up() -> None:
    """Wait until the loop has no connection any more: TLS takes leave of a broker that lets those wait it refused."""
    connections: Any = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]
    async with asyncio.timeout(40):
        while len(connections) > 1:  # the loop wakes itself up by a socket of its own
            await asyncio.sleep(0.01)
    for _ in range(5):
        await asyncio.sleep(0)  # what is no longer listened to is closed by the next callbacks


async def test_a_publisher_says_once_in_a_while_that_its_login_is_refused(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        publisher = KafkaPublisher(replace(cluster.admin, password=SecretStr(WRONG)), seconds=2.5)
        with pytest.raises(LogUnavailable):
            await publisher.publish([Outgoing(EMBED.name, b"k", b"v")])
        await publisher.close()
    assert caplog.text.count("Kafka refuses the login") == 1
    assert WRONG not in caplog.text


def test_a_worker_with_a_wrong_password_waits_and_says_why(cluster: Cluster, tmp_path: Path) -> None:
    told = environment(replace(cluster.login(PLATFORM), password=SecretStr(WRONG)))
    said = tmp_path / "said"
    with said.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "processors.worker", "chunk"],
            env=os.environ | told | {"HEADRACE_DEV": "true", "HEADRACE_BLOBS": (tmp_path / "blobs").as_uri()},
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        until(lambda: "Kafka refuses the login" in said.read_text(), 40, "the reason in its log")
        assert worker.poll() is None
        assert WRONG not in said.read_text()
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()


def _lag(source: LagSource) -> int:
    return next(item.lag for item in source.read() if item.topic == EMBED.name)

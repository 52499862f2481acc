"""The sink `webhooks` as a process on real servers, killed wherever it can be: each event arrives, one id, one body."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from producers import provisioning
from producers.clients import librdkafka
from producers.publisher import KafkaPublisher
from schemas import topics, webhooks
from schemas.broker import Broker
from schemas.codec import encode
from schemas.webhooks import NewEndpoint, SecretVersion, message_id
from schemas.work import Task
from sinks.postgres.webhooks import PostgresWebhookStore
from tests.sinks.databases import Database, rows
from tests.support import environment
from tests.webhooks.receivers import answering, receiving
from tests.webhooks.worlds import ended, eventually

WINDOWS = ("handler", "sink", "commit", "claimed", "sent", "settled")


class Process:
    """`sinks.worker webhooks`, started again after each death as a supervisor would."""

    def __init__(self, broker: Broker, database: Database, folder: Path) -> None:
        self._folder = folder
        self._env = os.environ | environment(broker) | {
            "HEADRACE_POSTGRES": database.sink, "HEADRACE_BLOBS": (folder / "blobs").as_uri(), "HEADRACE_DEV": "true",
            "HEADRACE_SLOT": "webhooks-1", "HEADRACE_RUN_DIR": str(folder), "HEADRACE_ID_KEYS": '{"1": "a key"}',
            "HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8", "HEADRACE_WEBHOOK_SECONDS": "1",
            "HEADRACE_WEBHOOK_SCHEDULE": "0,0.2,0.2,0.2",
        }  # fmt: skip
        (folder / "failpoints").mkdir()
        self.log, self.kills = folder / "webhooks.log", folder / "kills.ndjson"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self._folder / "webhooks-1.ready").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            argv = [sys.executable, "-m", "sinks.worker", "webhooks"]
            self._child = subprocess.Popen(argv, env=self._env, stdout=log, stderr=log)

    def arm(self, window: str) -> None:
        (self._folder / "failpoints" / f"webhooks-1.{window}").touch()

    async def dies(self) -> None:
        child = self._child
        assert child is not None
        await asyncio.wait_for(asyncio.to_thread(child.wait), 90)

    async def ready(self) -> None:
        async def found() -> bool:
            return (self._folder / "webhooks-1.ready").exists()

        await eventually(found, f"the process is ready: {self.log.read_text()[-2000:]}", 60)

    def end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()


@pytest.fixture
def process(kafka: Broker, database: Database, tmp_path: Path) -> Iterator[Process]:
    provisioning.apply(kafka, dev=True)
    _begin_at_the_end(kafka)
    process = Process(kafka, database, tmp_path)
    process.start()
    yield process
    process.end()


def _begin_at_the_end(kafka: Broker) -> None:
    """Other tests have put on the topic what no sink can read."""
    consumer = Consumer({**librdkafka(kafka), "group.id": "headrace.webhooks"})
    places = [TopicPartition(topics.RESULTS.name, number) for number in range(topics.RESULTS.partitions)]
    for place in places:
        _, place.offset = consumer.get_watermark_offsets(place, timeout=20)
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()


async def _publish(broker: Broker, *tasks: Task) -> None:
    publisher = KafkaPublisher(broker)
    await publisher.publish([encode(topics.RESULTS.name, task.envelope, task.payload) for task in tasks])
    await publisher.close()


async def test_wherever_it_is_killed_each_event_arrives_and_its_id_and_body_are_one(
    kafka: Broker, database: Database, process: Process
) -> None:
    store = PostgresWebhookStore(database.api)
    async with receiving() as receivers:
        wanted = NewEndpoint(url=receivers.url("here", answering(204)))
        secret = SecretVersion(key=1, version=1)
        made = await store.create("demo", webhooks.new_endpoint_id(), wanted, secret, "a test")

        async def active() -> bool:
            endpoint = await store.endpoint("demo", made.id)
            return endpoint is not None and endpoint.state == "active"

        await process.ready()
        await eventually(active, "the endpoint is active")
        sent = []
        for number, window in enumerate(WINDOWS):
            process.arm(window)
            sent.append(ended(f"job_{number}"))
            await _publish(kafka, sent[-1])
            await process.dies()
            process.start()
            await process.ready()

        async def all_told() -> bool:
            waits = "SELECT FROM webhook_deliveries WHERE state <> 'delivered'"
            told = await rows(database.admin, "SELECT FROM webhook_deliveries WHERE state = 'delivered'")
            return len(told) == len(WINDOWS) + 1 and not await rows(database.admin, waits)

        await eventually(all_told, "everything is delivered", 60)
    await store.close()
    arrived = receivers.came("here")
    assert {arrival.id for arrival in arrived} == {message_id(task.envelope.id) for task in sent}
    assert len({(arrival.id, arrival.body) for arrival in arrived}) == len(WINDOWS)
    kills = [json.loads(line) for line in process.kills.read_text().splitlines()]
    assert [kill["window"] for kill in kills] == list(WINDOWS)
    [in_flight] = [kill["at"] for kill in kills if kill["window"] == "sent"]
    assert [arrival.id for arrival in arrived].count(in_flight) >= 2, "it was killed after it sent, before it said so"

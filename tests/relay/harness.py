"""The relay as a process of its own, what writes its outbox, and the three kinds of readers."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import uuid
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioPartition
from confluent_kafka import Consumer, KafkaError, TopicPartition

from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.records import Outgoing
from schemas.topics import RESULTS
from tests.sinks.databases import Database, rows
from tests.support import until

INSERT = """
    INSERT INTO outbox (ce_id, tenant, job, topic, key, headers, value) VALUES ($1, $2, $4, $3, $4, $5, $6)
"""
_ORDER = "SELECT ce_id::text AS id, key FROM outbox WHERE topic = $1 ORDER BY xid, seq"


class Seen(NamedTuple):
    """A record as a reader saw it."""

    key: str
    id: str
    value: bytes


async def write(
    connection: asyncpg.Connection, key: str, *, tenant: str = "demo", topic: str = RESULTS.name, text: str = ""
) -> str:
    """One row in the connection's transaction, of a type that no subscriber knows; its id."""
    name = uuid.uuid4()
    headers = (("ce_id", str(name).encode()), ("ce_type", b"headrace.Tried.v1"))
    value = json.dumps({"text": text}).encode()
    await put(connection, Outgoing(topic, key.encode(), value, headers), tenant, name)
    return str(name)


async def put(connection: asyncpg.Connection, record: Outgoing, tenant: str, name: uuid.UUID) -> None:
    """A record as a row of the outbox, and the notification of it."""
    headers = json.dumps([[header, value.decode()] for header, value in record.headers])
    value = (record.value or b"").decode()
    await connection.execute(INSERT, name, tenant, record.topic, record.key.decode(), headers, value)
    await connection.execute("NOTIFY headrace_outbox")


class Writer:
    """Transactions that take their rows at once and end after a random time, some by a rollback."""

    def __init__(self, url: str, seed: int, keys: int = 12, longest: float = 0.15) -> None:
        self._url = url
        self._random = random.Random(seed)
        self._keys = keys
        self._longest = longest

    async def run(self, transactions: int) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            for _ in range(transactions):
                transaction = connection.transaction()
                await transaction.start()
                for _ in range(self._random.randint(1, 4)):
                    await write(connection, f"job_{self._random.randrange(self._keys)}")
                    await asyncio.sleep(self._random.uniform(0, self._longest / 4))
                await asyncio.sleep(self._random.choice((0, 0, self._random.uniform(0, self._longest))))
                if self._random.random() < 0.2:
                    await transaction.rollback()
                else:
                    await transaction.commit()
        finally:
            await connection.close()


async def eight_writers(url: str, transactions: int, longest: float = 0.15) -> None:
    """Eight at once, `transactions` each."""
    await asyncio.gather(*(Writer(url, seed, longest=longest).run(transactions) for seed in range(8)))


class RelayProcess:
    """`python -m sinks.worker relay` under a slot's name."""

    def __init__(self, broker: Broker, database: Database, folder: Path, slot: str = "relay-1", **env: str) -> None:
        self.slot = slot
        self.folder = folder
        self.log = folder / f"{slot}.log"
        (folder / "failpoints").mkdir(exist_ok=True)
        self._env = os.environ | {
            "HEADRACE_KAFKA": broker.bootstrap, "HEADRACE_POSTGRES": database.sink, "HEADRACE_SLOT": slot,
            "HEADRACE_RUN_DIR": str(folder), "HEADRACE_DEV": "true", "HEADRACE_SESSION_SECONDS": "6", **env,
        }  # fmt: skip
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / f"{self.slot}.ready").unlink(missing_ok=True)
        with self.log.open("ab") as output:
            argv = [sys.executable, "-m", "sinks.worker", "relay"]
            self.child = subprocess.Popen(argv, env=self._env, stdout=output, stderr=output)

    def ready(self, seconds: float = 30) -> None:
        until((self.folder / f"{self.slot}.ready").exists, seconds, f"{self.slot} ready:\n{self.said()}")

    def arm(self, window: str) -> None:
        (self.folder / "failpoints" / f"{self.slot}.{window}").touch()

    def dead(self) -> bool:
        assert self.child is not None
        return self.child.poll() is not None

    def send(self, number: int) -> None:
        assert self.child is not None
        self.child.send_signal(number)

    def end(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        assert self.child is not None
        if self.child.poll() is None:
            self.child.send_signal(number)
            self.child.send_signal(signal.SIGCONT)
        return self.child.wait(seconds)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


def ends(broker: Broker, topic: str = RESULTS.name) -> dict[int, int]:
    """Where each partition of a topic ends now."""
    consumer = Consumer({**librdkafka(broker), "group.id": "ends"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    found = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=10)[1] for n in partitions}
    consumer.close()
    return found


def by_confluent(
    broker: Broker, since: dict[int, int], topic: str = RESULTS.name, isolation: str = "read_committed"
) -> list[Seen]:
    """What lies on a topic since those offsets, to its present end."""
    consumer = Consumer(
        {**librdkafka(broker), "group.id": "reader", "isolation.level": isolation, "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition(topic, number, offset) for number, offset in since.items()])
    found, unread = [], set(since)
    while unread:
        message: Any = consumer.poll(15)
        assert message is not None
        if message.error() is None:
            headers = dict(message.headers())
            found.append(Seen(message.key().decode(), headers["ce_id"].decode(), message.value()))
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF
            unread.discard(message.partition())
    consumer.close()
    return found


async def by_aiokafka(broker: Broker, since: dict[int, int], topic: str = RESULTS.name) -> list[Seen]:
    """The same by aiokafka."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, isolation_level="read_committed")
    await consumer.start()
    places = {AioPartition(topic, number): offset for number, offset in since.items()}
    consumer.assign(list(places))
    for place, offset in places.items():
        consumer.seek(place, offset)
    last = await consumer.end_offsets(list(places))
    found = []
    async with asyncio.timeout(30):
        while any([await consumer.position(place) < last[place] for place in places]):
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    seen = Seen(message.key.decode(), dict(message.headers)["ce_id"].decode(), message.value)
                    found.append(seen)
    await consumer.stop()
    return found


def by_kcat(broker: Broker, since: dict[int, int], topic: str = RESULTS.name) -> list[Seen]:
    """The same by kcat, a partition after the other."""
    found = []
    for number, offset in since.items():
        place = ["-t", topic, "-p", str(number), "-o", str(offset)]
        argv = ["kcat", "-C", "-b", broker.bootstrap, *place, "-X", "isolation.level=read_committed", "-e", "-q", "-J"]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
        for line in map(json.loads, lines):
            headers = dict(zip(line["headers"][::2], line["headers"][1::2], strict=True))
            found.append(Seen(line["key"], headers["ce_id"], line["payload"].encode()))
    return found


def by_key(seen: Iterable[Seen]) -> dict[str, list[str]]:
    """Ids in the order in which they were seen, for each key."""
    found = defaultdict(list)
    for item in seen:
        found[item.key].append(item.id)
    return dict(found)


async def committed(database: Database, topic: str = RESULTS.name) -> dict[str, list[str]]:
    """What the outbox holds, as every reader should see it."""
    found = defaultdict(list)
    for row in await rows(database.admin, _ORDER, topic):
        found[row["key"]].append(row["id"])
    return dict(found)


async def relayed(broker: Broker, database: Database, since: dict[int, int], seconds: float = 40) -> list[Seen]:
    """Wait until as many records as the outbox has rows can be read; what can be read then."""
    want = sum(map(len, (await committed(database)).values()))
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        seen = await asyncio.to_thread(by_confluent, broker, since)
        if len(seen) >= want:
            return seen
        assert asyncio.get_running_loop().time() < deadline, f"{len(seen)} of {want} relayed"
        await asyncio.sleep(0.1)

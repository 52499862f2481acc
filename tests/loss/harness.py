"""Drives members, feeds them, and reads what they did from the log itself."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from producers import provisioning, step_orders
from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.control import StepOrder
from schemas.documents import ChunksIndexed
from schemas.envelope import NAMESPACE, Envelope, new_trace
from schemas.plans import DOCUMENT
from schemas.topics import CONTROL, DEAD_LETTERS
from tests.support import environment, read, until


class Bench:
    """One topic in, one topic out, one group, and its members."""

    def __init__(self, broker: Broker, folder: Path, stream: str, partitions: int = 4) -> None:
        self.broker = broker
        self.folder = folder
        self._stream = stream
        tag = uuid.uuid4().hex[:8]
        self.topic, self.out, self.group = f"loss-{tag}", f"loss-{tag}-out", f"headrace.loss-{tag}"
        self._partitions = partitions
        self.job = f"job_{tag}"
        self._members: list[subprocess.Popen[bytes]] = []
        self._admin = AdminClient(librdkafka(broker))
        provisioning.apply(broker, dev=True)
        for name in (self.topic, self.out):
            self.create(name)

    def create(self, name: str) -> None:
        for future in self._admin.create_topics([NewTopic(name, self._partitions, 1)]).values():
            future.result(10)

    def feed(self, numbers: Iterable[int], *, raw: Iterable[bytes] = (), topic: str = "") -> None:
        """Records numbered by their part, round the partitions; `raw` values get no envelope."""
        producer = Producer(librdkafka(self.broker))
        for number in numbers:
            value = ChunksIndexed(index="in", count=number).model_dump_json()
            headers = list(self.envelope(number).headers())
            producer.produce(
                topic or self.topic, value, str(number), partition=number % self._partitions, headers=headers
            )
        for value in raw:
            producer.produce(self.topic, value, b"raw", partition=0)
        assert producer.flush(20) == 0

    def envelope(self, number: int, job: str = "") -> Envelope:
        return Envelope(
            id=uuid.uuid5(NAMESPACE, f"{self.topic}{number}"), kind=ChunksIndexed.kind(), at=datetime.now(UTC),
            job=job or self.job, run=1, part=number, tenant="demo", plan=DOCUMENT.hash, document="doc",
            traceparent=new_trace(),
        )  # fmt: skip

    def order(self, value: bytes) -> None:
        """A control record about the job."""
        producer = Producer(librdkafka(self.broker))
        producer.produce(CONTROL.name, value, self.job)
        assert producer.flush(20) == 0

    def resume(self, step: str) -> None:
        """The order by which a halted step goes on."""
        step_orders.give(self.broker, StepOrder(step=step, halted=False, at=datetime.now(UTC)))

    def log(self, slot: str = "loss-1") -> str:
        """What a slot's processes have said."""
        path = self.folder / f"{slot}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, slot: str = "loss-1", **script: object) -> subprocess.Popen[bytes]:
        told = {
            "folder": str(self.folder), "slot": slot, "group": self.group,
            "topic": self.topic, "out": self.out, "stream": self._stream, **script,
        }  # fmt: skip
        (self.folder / f"{slot}.ready").unlink(missing_ok=True)
        with (self.folder / f"{slot}.log").open("ab") as output:
            member = subprocess.Popen(
                [sys.executable, "-m", "tests.loss.member", json.dumps(told)],
                stdout=output,
                stderr=output,
                env=os.environ | environment(self.broker),
            )
        self._members.append(member)
        return member

    def ready(self, slot: str = "loss-1", seconds: float = 40) -> None:
        until((self.folder / f"{slot}.ready").exists, seconds, f"{slot} ready")

    def stop(self, member: subprocess.Popen[bytes], number: int = signal.SIGTERM, seconds: float = 30) -> int:
        if member.poll() is None:
            member.send_signal(number)
        return member.wait(seconds)

    def close(self) -> None:
        for member in self._members:
            if member.poll() is None:
                member.kill()
            member.wait()

    def noted(self, what: str) -> Counter[int]:
        path = self.folder / "journal"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return Counter(number for _, _, said, number in lines if said == what)

    def emitted(self) -> Counter[int]:
        """Parts on the output topic, by how often they lie there."""
        return Counter(_part(message) for message in read(self.broker, self.out))

    def dead(self) -> list[dict[str, str]]:
        """This group's dead letters: their headers, and their value under `value`."""
        letters = [
            {
                **{name: data.decode() for name, data in message.headers() or ()},
                "value": (message.value() or b"").decode("latin1"),
            }
            for message in read(self.broker, DEAD_LETTERS.name)
        ]
        return [letter for letter in letters if letter.get("headrace_position", "").startswith(f"{self.topic}[")]

    def committed(self) -> dict[int, int]:
        consumer = Consumer({**librdkafka(self.broker), "group.id": self.group})
        asked = [TopicPartition(self.topic, number) for number in range(self._partitions)]
        found = {item.partition: max(0, item.offset) for item in consumer.committed(asked, timeout=10)}
        consumer.close()
        return found


def _part(message: Any) -> int:
    return int(dict(message.headers())["ce_part"])

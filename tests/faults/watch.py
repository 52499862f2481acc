"""Feeds a stack, kills its processes, and judges afterwards what PostgreSQL and the log hold."""

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from confluent_kafka import Consumer, TopicPartition

from deploy.local.session import Session

SUPERVISED, SERVERS = 5.0, 30.0
"""Seconds of recovery promised: of workers, sinks and API processes; of Kafka and PostgreSQL."""


def until(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Submitter(threading.Thread):
    """Submits documents one after the other, as a patient caller does: again after 503 and cut connections."""

    def __init__(self, stack: Session, documents: list[Path], every: float) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self._client = httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=20)
        self._documents = documents
        self._every = every

    def run(self) -> None:
        with self._client:
            for document in self._documents:
                while (job := self._submit(document)) is None:
                    time.sleep(0.3)
                self.accepted.append(job)
                time.sleep(self._every)

    def _submit(self, document: Path) -> str | None:
        try:
            answer = self._client.post("/v1/jobs", files={"file": (document.name, document.read_bytes())})
        except httpx2.TransportError:
            return None
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
            return None
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


class Killer:
    """Kills by failpoint or by signal, and measures each recovery from the supervisor's own events."""

    def __init__(self, stack: Session) -> None:
        self._stack = stack
        self.log: list[dict[str, Any]] = []

    def at(self, slot: str, window: str, seconds: float = 60) -> None:
        """Arm a failpoint, wait until it fired and the slot is ready again."""
        seen = len(self.kills())
        since = len(self._stack.events())
        armed = self._stack.folder / "run" / "failpoints" / f"{slot}.{window}"
        armed.touch()
        until(lambda: len(self.kills()) > seen, seconds, f"{slot} to reach its {window} window")
        kill = self.kills()[-1]
        assert (kill["slot"], kill["window"]) == (slot, window)
        self.log.append({"slot": slot, "window": window, "at": kill["at"], "recovery": self._recovery(slot, since)})

    def now(self, slot: str) -> None:
        """kill -9, and wait until the slot is ready again."""
        since = len(self._stack.events())
        os.kill(self._stack.pids()[slot], signal.SIGKILL)
        self.log.append({"slot": slot, "window": "any", "at": "", "recovery": self._recovery(slot, since)})

    def kills(self) -> list[dict[str, Any]]:
        path = self._stack.folder / "run" / "kills.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _recovery(self, slot: str, since: int) -> float:
        def fresh(kind: str) -> list[dict[str, Any]]:
            return [e for e in self._stack.events()[since:] if e["slot"] == slot and e["event"] == kind]

        until(lambda: fresh("exit") and fresh("ready"), 60, f"{slot} back")
        return float(fresh("ready")[0]["at"] - fresh("exit")[0]["at"])

    def table(self) -> str:
        return "\n".join(f"{k['slot']:18} {k['window']:8} {k['recovery']:6.2f} s  {k['at']}" for k in self.log)


class Judge:
    """What exists, read as the database's owner and from the log itself."""

    def __init__(self, stack: Session) -> None:
        self._stack = stack
        self._admin = stack.admin_url

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        connection = await asyncpg.connect(self._admin)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def settle(self, jobs: list[str], seconds: float) -> None:
        """Wait until every job has ended."""
        deadline = time.monotonic() + seconds
        while not await self.finished(jobs):
            assert time.monotonic() < deadline, f"jobs not ended after {seconds} s"
            await asyncio.sleep(0.2)

    async def finished(self, jobs: list[str]) -> bool:
        states = await self.rows("select state from jobs where id = any($1)", jobs)
        return len(states) == len(jobs) and all(row["state"] not in ("queued", "running") for row in states)

    async def effects(self, jobs: list[str], pages: int) -> dict[str, Any]:
        """States, and how many pages lack a result or a vector, or have more than one, over all jobs."""
        states = Counter(row["state"] for row in await self.rows("select state from jobs where id = any($1)", jobs))
        results = await self._per_page("select job, part as page, count(*) n from results group by 1, 2")
        chunks = await self.rows("select job, page, chunk, count(*) n from chunks group by 1, 2, 3")
        indexed = {(row["job"], row["page"]) for row in chunks}
        wanted = {(job, page) for job in jobs for page in range(1, pages + 1)}
        outbox = await self.rows("select job, count(*) n from outbox group by 1")
        return {
            "states": dict(states),
            "lost results": len(wanted - results.keys()),
            "doubled results": sum(n > 1 for n in results.values()),
            "lost vectors": len(wanted - indexed),
            "doubled vectors": sum(row["n"] > 1 for row in chunks),
            "ends told twice": sum(row["n"] > 1 for row in outbox),
            "ends not told": len(set(jobs) - {row["job"] for row in outbox}),
        }

    async def _per_page(self, query: str) -> dict[tuple[str, int], int]:
        return {(row["job"], row["page"]): row["n"] for row in await self.rows(query)}

    def repeats(self, topic: str) -> tuple[int, int]:
        """Records of a topic, and how many of them repeat an id: work done twice."""
        ids = [dict(message.headers() or [])["ce_id"] for message in read(self._stack.kafka, topic)]
        return len(ids), len(ids) - len(set(ids))


def read(bootstrap: str, topic: str) -> list[Any]:
    """Everything that lies on a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "judge", "enable.auto.commit": False})
    found = []
    for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
        consumer.assign([TopicPartition(topic, number, low)])
        position = low
        while position < high:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            found.append(message)
            position = message.offset() + 1
    consumer.close()
    return found

"""Feeds a stack, kills its processes, and judges afterwards what PostgreSQL and the log hold."""

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from deploy.local.session import Session
from schemas.broker import Broker
from tests.support import read, until

SUPERVISED, SERVERS = 5.0, 30.0
"""Seconds of recovery promised: of workers, sinks and API processes; of Kafka and PostgreSQL."""


_RESULTS = "select job, part as page, ce_id from results"


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
        results = {(row["job"], row["page"]): str(row["ce_id"]) for row in await self.rows(_RESULTS)}
        chunks = Counter((row["job"], row["page"]) for row in await self.rows("select job, page from chunks"))
        wanted = {(job, page) for job in jobs for page in range(1, pages + 1)}
        outbox = Counter(row["job"] for row in await self.rows("select job from outbox"))
        told = self._told()
        return {
            "states": dict(states),
            "lost results": len(wanted - results.keys()),
            "doubled results": sum(len(ids) > 1 for ids in told["PageRead"].values()),
            "results of no event": sum(told["PageRead"][place] != {kept} for place, kept in results.items()),
            "lost vectors": len(wanted - chunks.keys()),
            "doubled vectors": sum(chunks[place] != count for place, count in self._passages().items()),
            "ends told twice": sum(count > 1 for count in outbox.values()),
            "ends not told": len(set(jobs) - outbox.keys()),
        }

    def _told(self) -> dict[str, dict[tuple[str, int], set[str]]]:
        """On the log: kind to page to the ids said of it. A repeat of the same work has the same id."""
        told: dict[str, dict[tuple[str, int], set[str]]] = defaultdict(lambda: defaultdict(set))
        for message in read(Broker(self._stack.kafka), "headrace.events"):
            said = {name: value.decode() for name, value in message.headers()}
            told[said["ce_type"].split(".")[1]][said["ce_job"], int(said["ce_part"])].add(said["ce_id"])
        return told

    def _passages(self) -> dict[tuple[str, int], int]:
        """On the log: how many passages each page was cut into."""
        found = {}
        for message in read(Broker(self._stack.kafka), "headrace.vectors"):
            said = {name: value.decode() for name, value in message.headers()}
            found[said["ce_job"], int(said["ce_part"])] = len(json.loads(message.value())["chunks"])
        return found

    def repeats(self, topic: str) -> tuple[int, int]:
        """Records of a topic, and how many of them repeat an id: work done twice."""
        ids = [dict(message.headers() or [])["ce_id"] for message in read(Broker(self._stack.kafka), topic)]
        return len(ids), len(ids) - len(set(ids))

"""Feeds a stack and kills its processes."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2

from deploy.local.session import Session
from tests.faults.vector_server import VectorServer
from tests.support import until

SUPERVISED, SERVERS = 5.0, 30.0
"""Seconds of recovery promised: of workers, sinks and API processes; of Kafka and PostgreSQL."""


class Submitter(threading.Thread):
    """Submits documents one after the other, as a patient caller does: again after 503 and cut connections."""

    def __init__(self, stack: Session, documents: list[Path], every: float) -> None:
        super().__init__(daemon=True)
        self.accepted: dict[str, Path] = {}
        self._client = httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=20)
        self._documents = documents
        self._every = every

    def run(self) -> None:
        with self._client:
            for document in self._documents:
                while (job := self._submit(document)) is None:
                    time.sleep(0.3)
                self.accepted[job] = document
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


WINDOWS: dict[str, tuple[str, ...]] = {
    "worker": ("handler", "commit"),
    "sink": ("handler", "sink", "commit"),
    "relay": ("handler", "sink", "commit", "committed"),
}
"""Where each kind of process can be killed by a failpoint; the others are killed at any moment."""


class Killer:
    """Kills by failpoint or by signal, and measures each recovery from the supervisor's own events."""

    def __init__(self, stack: Session, vectors: VectorServer | None = None) -> None:
        self._stack = stack
        self._vectors = vectors
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
        if slot == "weaviate":
            assert self._vectors is not None
            self.log.append({"slot": slot, "window": "any", "at": "", "recovery": self._vectors.crash()})
            return
        since = len(self._stack.events())
        os.kill(self._stack.pids()[slot], signal.SIGKILL)
        self.log.append({"slot": slot, "window": "any", "at": "", "recovery": self._recovery(slot, since)})

    def anywhere(self, slot: str, chance: random.Random) -> None:
        """Kill a slot in that of its windows which was hit least so far, or at any moment where it has none."""
        if slot.startswith(("api", "kafka", "postgres", "weaviate", "eraser")):
            self.now(slot)
            return
        kind = "relay" if slot == "relay-1" else "sink" if slot.startswith(("projector", "index")) else "worker"
        hits = Counter(kill["window"] for kill in self.log)
        self.at(slot, min(WINDOWS[kind], key=lambda window: (hits[window], chance.random())))

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

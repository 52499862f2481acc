"""Kills processes of a stack, and measures how soon they are back."""

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.local.session import Session
from tests.faults.servers import Held
from tests.support import until

SUPERVISED, SERVERS = 5.0, 30.0
"""Seconds of recovery promised: of workers, sinks and API processes; of Kafka, PostgreSQL and Weaviate."""
_SINK = ("handler", "sink", "commit")
WINDOWS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("prepare", "ocr", "chunk", "embed"), ("handler", "commit")),
    **dict.fromkeys(("projector", "index-pgvector", "index-weaviate"), _SINK),
    "dispatcher": (*_SINK, "decided", "released"),
    "relay": (*_SINK, "committed"),
}
"""Where a process of each role can be killed by a failpoint; one of any other role is killed at any moment."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One death: `in_flight` is the record as `topic[partition]@offset`, `recovery` in seconds."""

    slot: str
    window: str
    in_flight: str
    recovery: float
    server: bool = False


class Killer:
    """Kills by failpoint or by signal; `servers` are those that no supervisor starts again."""

    def __init__(self, stack: Session, servers: Mapping[str, Held]) -> None:
        self._stack = stack
        self._servers = servers
        self.log: list[Kill] = []

    def at(self, slot: str, window: str, *, provoke: Callable[[], object] = lambda: None, seconds: float = 60) -> None:
        """Arm a failpoint, wait until it fired and the slot is ready again; `provoke` brings the process there."""
        seen = len(self._fired())
        since = len(self._stack.events())
        (self._stack.folder / "run" / "failpoints" / f"{slot}.{window}").touch()
        provoke()
        until(lambda: len(self._fired()) > seen, seconds, f"{slot} to reach its {window} window")
        fired = self._fired()[-1]
        assert (fired["slot"], fired["window"]) == (slot, window)
        self.log.append(Kill(slot, window, fired["at"], self.recovered(slot, since)))

    def now(self, slot: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a process, and wait until the slot is ready again."""
        if slot in self._servers:
            self.log.append(Kill(slot, "any", "", self._servers[slot].crash(), server=True))
            return
        since = len(self._stack.events())
        os.kill(self._stack.pids()[slot], number)
        self.log.append(Kill(slot, "any", "", self.recovered(slot, since)))

    def anywhere(self, slot: str, chance: random.Random) -> None:
        """Kill a slot in that of its windows which was hit least so far, or at any moment where it has none."""
        windows, hits = WINDOWS.get(slot.rpartition("-")[0]), self.windows()
        if windows is None:
            self.now(slot)
            return
        self.at(slot, min(windows, key=lambda window: (hits[window], chance.random())))

    def windows(self) -> Counter[str]:
        """How many kills fell into each window."""
        return Counter(kill.window for kill in self.log)

    def slow(self) -> list[Kill]:
        """Those whose process was longer away than promised."""
        return [kill for kill in self.log if kill.recovery > (SERVERS if kill.server else SUPERVISED)]

    def recovered(self, slot: str, since: int, seconds: float = 60) -> float:
        """Wait until a slot that ended after so many of the supervisor's events is ready again; how long that took."""

        def fresh(kind: str) -> list[dict[str, Any]]:
            return [e for e in self._stack.events()[since:] if e["slot"] == slot and e["event"] == kind]

        until(lambda: fresh("exit") and fresh("ready"), seconds, f"{slot} back")
        return float(fresh("ready")[0]["at"] - fresh("exit")[0]["at"])

    def _fired(self) -> list[dict[str, Any]]:
        path = self._stack.folder / "run" / "kills.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def table(self) -> str:
        """A line each."""
        return "\n".join(
            f"{kill.slot:18} {kill.window:8} {kill.recovery:6.2f} s  {kill.in_flight}" for kill in self.log
        )

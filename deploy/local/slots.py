"""A slot: a place that one process at a time fills, and the keeper that fills it again when the process ends."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from deploy.local import children
from deploy.local.journal import Journal
from deploy.local.layout import Layout

Group = Literal["api", "worker", "sink", "kafka", "postgres"]
STOP_ORDER: tuple[Group, ...] = ("api", "worker", "sink", "kafka", "postgres")
STEADY_SECONDS = 10.0
"""A process that lived this long was well: its next restart is at once again."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What runs in a place. `probe` says whether it works; without one its process leaves a ready mark."""

    name: str
    group: Group
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    port: int | None = None
    pass_fds: tuple[int, ...] = ()
    probe: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL


class Keeper:
    """One slot and its process over all its restarts. Call everything from the main thread."""

    def __init__(self, slot: Slot, place: Layout, journal: Journal) -> None:
        self.slot = slot
        self.child: subprocess.Popen[bytes] | None = None
        self.ready = False
        self.restarts = -1
        self._log = place.log(slot.name)
        self._mark = place.ready(slot.name)
        self._journal = journal
        self._failures = 0
        self._due = self._started = 0.0

    def tick(self, now: float) -> bool:
        """Start, notice an end, or notice that it works; whether anything changed. `now` is monotonic seconds."""
        if self.child is None:
            return now >= self._due and self._start(now)
        code = self.child.poll()
        if code is not None:
            return self._exited(self.child.pid, code, now)
        return not self.ready and self._notice_ready(self.child.pid)

    def _start(self, now: float) -> bool:
        slot = self.slot
        self.child = children.spawn(
            slot.argv,
            log=self._log,
            env=slot.env,
            pass_fds=slot.pass_fds,
            death_signal=slot.death_signal,
        )
        self._started = now
        self.restarts += 1
        self._journal.note(slot.name, "start", self.child.pid)
        return True

    def _exited(self, pid: int, code: int, now: float) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # its own children, should they have missed its end
        self._mark.unlink(missing_ok=True)
        self.child, self.ready = None, False
        lived = now - self._started
        self._failures = 1 if lived >= STEADY_SECONDS else self._failures + 1
        delay = 0.0 if self._failures == 1 else min(5.0, 0.2 * 2 ** (self._failures - 2))
        self._due = now + delay
        self._journal.ended(self.slot.name, pid, code, lived, delay, self._log if self._failures >= 3 else None)
        return delay > 0 or self._start(now)

    def _notice_ready(self, pid: int) -> bool:
        at = self._marked_at(pid) if self.slot.probe is None else time.time() if self.slot.probe() else None
        if at is None:
            return False
        self.ready = True
        children.give_way(pid)
        self._journal.note(self.slot.name, "ready", pid, at=at)
        return True

    def _marked_at(self, pid: int) -> float | None:
        try:
            mark = json.loads(self._mark.read_text())
        except FileNotFoundError:
            return None
        return float(mark["at"]) if mark["pid"] == pid else None

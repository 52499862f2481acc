"""The supervisor: fills slots phase by phase, fills them again, and ends everything in order."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType

from deploy.local import children, layout, leftovers
from deploy.local.journal import Journal, Report
from deploy.local.layout import Layout
from deploy.local.slots import STOP_ORDER, Keeper, Slot

Phase = Callable[[], Iterable[Slot]]
"""Makes the slots of a phase, once every slot of the phases before works."""

_TICK = 0.05
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs `phases` in the directory of `layout`, which the caller holds. Use it from the main thread only."""

    def __init__(self, place: Layout, report: Report) -> None:
        self._layout = place
        self._report = report
        self._journal = Journal(place.events, report)
        self._keepers: list[Keeper] = []
        self._stopping = False
        self._interrupted = False

    def run(self, phases: Sequence[Phase], *, on_ready: Callable[[], None], address: str = "") -> None:
        """Start all, keep it running, end it on SIGTERM, SIGHUP, Ctrl-C (which is raised again) or an error."""
        previous = [(number, signal.signal(number, self._stop)) for number in _STOPPING]
        try:
            for phase in phases:
                self._fill(phase(), address)
            if not self._stopping:
                self._write_status(address, ready=True)
                on_ready()
            self._keep_until(lambda: False, address, ready=True)
            if self._interrupted:
                raise KeyboardInterrupt
        finally:
            self._end()
            for number, handler in previous:
                signal.signal(number, handler)

    def _fill(self, slots: Iterable[Slot], address: str) -> None:
        if self._stopping:
            return
        fresh = [Keeper(slot, self._layout, self._journal) for slot in slots]
        self._report(f"starting {', '.join(keeper.slot.name for keeper in fresh)}")
        self._keepers += fresh
        self._keep_until(lambda: all(keeper.ready for keeper in fresh), address, ready=False)

    def _keep_until(self, done: Callable[[], bool], address: str, *, ready: bool) -> None:
        while not self._stopping and not done():
            pids = self._pids()
            if any([keeper.tick(time.monotonic()) for keeper in self._keepers]):  # noqa: C419 each must have its turn
                if self._pids() != pids:
                    leftovers.record(self._layout.children, self._pids())
                self._write_status(address, ready=ready)
            time.sleep(_TICK)

    def clean(self) -> None:
        """Undo what a killed predecessor left: processes, ready marks, old logs."""
        found = leftovers.end(self._layout.children)
        if found:
            self._report(f"ended {len(found)} processes that a killed supervisor had left")
        for mark in (*self._layout.run.glob("*.ready*"), *self._layout.logs.glob("*.log")):
            mark.unlink()

    def _end(self) -> None:
        for group in STOP_ORDER:
            members = [keeper for keeper in self._keepers if keeper.slot.group == group and keeper.child]
            alive = [keeper.child for keeper in members if keeper.child]
            if members:
                children.end(alive, stop_signal=members[0].slot.stop_signal)
            for keeper, child in zip(members, alive, strict=True):
                self._journal.note(keeper.slot.name, "exit", child.pid, code=child.returncode)
                self._layout.ready(keeper.slot.name).unlink(missing_ok=True)
        self._layout.children.unlink(missing_ok=True)
        self._layout.status.unlink(missing_ok=True)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopping, self._interrupted = True, number == signal.SIGINT

    def _pids(self) -> list[int]:
        return [keeper.child.pid for keeper in self._keepers if keeper.child]

    def _write_status(self, address: str, *, ready: bool) -> None:
        slots = [
            {
                "slot": keeper.slot.name,
                "group": keeper.slot.group,
                "pid": keeper.child.pid if keeper.child else None,
                "port": keeper.slot.port,
                "ready": keeper.ready,
                "restarts": keeper.restarts,
            }
            for keeper in self._keepers
        ]
        content = {"pid": os.getpid(), "url": address, "ready": ready, "slots": slots}
        layout.write(self._layout.status, content)

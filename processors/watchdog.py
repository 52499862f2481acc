"""The watchdog: a thread that sees when the event loop is blocked, or a worker comes no further, and ends the process.

It counts its own ticks and reads no clock: a process that was stopped and goes on, or a machine too busy to run it,
has missed ticks, and is well. A tick is only ever counted after the thread itself has slept one out.
"""

import asyncio
import faulthandler
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from processors.endings import Reason

log = logging.getLogger(__name__)
TICK = 0.25  # each wakes the loop once; an idle process should sleep


@dataclass(frozen=True, slots=True)
class Seen:
    """What the loop told of itself: records at hand, how often it got something done, whether a bounded call runs."""

    open_records: int
    beats: int
    in_bounded_call: bool


class Watchdog:
    """Watches one event loop. `look` is called on it; `end` is told why the process has to end.

    `loop_seconds` and `stall_seconds` as in the settings; `sleep` waits one tick.
    """

    def __init__(
        self,
        end: Callable[[Reason, str], object],
        loop_seconds: float,
        stall_seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._end = end
        self._loop_ticks = loop_seconds / TICK
        self._stall_ticks = stall_seconds / TICK
        self._sleep = sleep
        self._answer: Seen | None = None
        self._last: Seen | None = None
        self._silent = self._stalled = 0
        self._longest = 0
        self._over = threading.Event()

    @property
    def complaint(self) -> str:
        """What is wrong, from half of the time on after which the process would be ended; empty while it is well."""
        if self._silent > self._loop_ticks / 2:
            return f"the event loop has not answered for {self._silent * TICK:.1f} s"
        if self._stalled > self._stall_ticks / 2:
            return f"no progress for {self._stalled * TICK:.0f} s"
        return ""

    def watch(self, loop: asyncio.AbstractEventLoop, look: Callable[[], Seen]) -> None:
        """Begin, on a thread of its own, for the life of the process."""
        threading.Thread(target=self._run, args=(loop, look), name="watchdog", daemon=True).start()

    def rest(self) -> None:
        """The process drains: nothing more is judged."""
        self._over.set()
        log.info("the longest that the event loop did not answer was %.1f s", self._longest * TICK)

    def _run(self, loop: asyncio.AbstractEventLoop, look: Callable[[], Seen]) -> None:
        def answer() -> None:
            self._answer = look()

        waiting = False
        while not self._over.is_set():
            if not waiting:
                self._answer = None
                try:
                    loop.call_soon_threadsafe(answer)
                except RuntimeError:  # the loop is closed: the process ends
                    return
            self._sleep(TICK)
            waiting = self._answer is None
            self.tick(self._answer)

    def tick(self, seen: Seen | None) -> None:
        """One tick: what the loop told of itself during it, None where it told nothing."""
        if seen is None:
            self._silent += 1
            self._longest = max(self._longest, self._silent)
            if self._silent > self._loop_ticks:
                faulthandler.dump_traceback(sys.stderr)  # where it hangs: names of functions, no values
                self._end("loop_blocked", f"the event loop did not answer for {self._silent * TICK:.1f} s")
            return
        self._silent = 0
        last, self._last = self._last, seen
        idle = seen.open_records == 0 or seen.in_bounded_call or (last is not None and last.beats != seen.beats)
        self._stalled = 0 if idle else self._stalled + 1
        if self._stalled > self._stall_ticks:
            told = f"{seen.open_records} records at hand and none finished for {self._stalled * TICK:.0f} s"
            self._end("no_progress", told)


def end_within(seconds: float, end: Callable[[Reason, str], object]) -> None:
    """End the process in `seconds` at the latest, whatever still runs: its grace is over then."""

    def overdue() -> None:
        end("drain_overdue", f"still running {seconds:.1f} s after it was told to end")

    timer = threading.Timer(seconds, overdue)
    timer.daemon = True
    timer.start()

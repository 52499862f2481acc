"""What only the broker can tell of a worker: that its partitions grow behind its back, or that it was given none.

A consumer can fall silent without a word: it keeps its membership, and is handed nothing any more.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from processors.endings import Reason
from schemas.errors import DependencyDown
from schemas.records import Partition

log = logging.getLogger(__name__)
LOOK_SECONDS = 10.0


class Membership(Protocol):
    """The worker's consumer group as the broker sees it; all is blocking and raises `DependencyDown`."""

    def lag(self, partitions: Collection[Partition]) -> int:
        """How many offsets lie beyond what the group has committed on these partitions."""
        ...

    def members(self) -> int | None:
        """How many members the group has, None while it does not stand still."""
        ...

    def partitions(self) -> int:
        """How many partitions its topics have."""
        ...


@dataclass(frozen=True, slots=True)
class Handed:
    """What the stream was given so far: its partitions, how many records were handed over, how many are at hand."""

    partitions: frozenset[Partition]
    records: int
    open_records: int


class GroupWatch:
    """Looks once in ten seconds, slept out by itself, and asks the broker only where nothing moved meanwhile.

    Standing lag is no sign: a transaction's own marks count as offsets, and are handed to nobody. `seconds` is how long
    something may be wrong before `end` is called.
    """

    def __init__(self, group: Membership, end: Callable[[Reason, str], object], seconds: float) -> None:
        self._group = group
        self._end = end
        self._limit = max(2, round(seconds / LOOK_SECONDS))
        self._last: Handed | None = None
        self._lag: int | None = None
        self._deaf = self._without = 0

    def watch(self, look: Callable[[], Handed], over: threading.Event) -> None:
        """Begin, on a thread of its own, until `over`."""
        threading.Thread(target=self._run, args=(look, over), name="group-watch", daemon=True).start()

    def _run(self, look: Callable[[], Handed], over: threading.Event) -> None:
        while not over.is_set():
            time.sleep(LOOK_SECONDS)
            try:
                self.tick(look())
            except DependencyDown as error:
                log.debug("not judged: %s", error)

    def tick(self, handed: Handed) -> None:
        """One look; raises `DependencyDown` where the broker cannot be asked, which judges nothing."""
        moved, self._last = handed != self._last, handed
        if handed.partitions:
            self._without = 0
            self._listen(handed, moved=moved)
            return
        members = self._group.members()
        left_out = members is not None and members < self._group.partitions()
        self._without = self._without + 1 if left_out else 0
        if self._without > self._limit:
            self._end("unassigned", "the group has fewer members than partitions, and this one was given none")

    def _listen(self, handed: Handed, *, moved: bool) -> None:
        if moved or handed.open_records:  # with records at hand it is the loop that must move on: others watch it
            self._deaf, self._lag = 0, None
            return
        lag = self._group.lag(handed.partitions)
        if self._lag is None:
            self._lag = lag
        self._deaf = self._deaf + 1 if lag > self._lag else 0
        if self._deaf > self._limit:
            self._end("no_progress", f"{lag} records wait on the partitions of this worker, and it is handed none")

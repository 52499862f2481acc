"""One lane for each endpoint: a receiver that is dead or slow has few requests under way, and delays no other.

Bulkheads: all requests together have `SLOTS`, those to endpoints in trouble half of them. A lane that fails makes one
request at a time, with a pause that grows before the next; a success opens it again.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

SLOTS = 512
TROUBLED_SLOTS = 256
SLOW_SECONDS = 2.0
WIDTH, SLOW_WIDTH, FAILING_WIDTH = 8, 4, 1
"""Requests to one endpoint under way at once."""
AHEAD, SLOW_AHEAD, FAILING_AHEAD = 24, 4, 1
"""Deliveries of one endpoint at hand, those under way included."""
_FIRST_PAUSE = 0.05
_KEPT_SECONDS = 30.0


class Held(Protocol):
    """A delivery at hand; after `until` (monotonic seconds) it may be another courier's."""

    @property
    def message(self) -> str:
        """Its message's id."""
        ...

    @property
    def until(self) -> float:
        """When it is ours no more."""
        ...


HeldT = TypeVar("HeldT", bound=Held)


@dataclass
class Lane(Generic[HeldT]):
    """What one process has at hand for one endpoint."""

    endpoint: str
    failing: bool = False
    slow: bool = False
    failures: int = 0
    paused_until: float = 0.0
    asked_until: float = 0.0
    used_at: float = field(default_factory=time.monotonic)
    waiting: deque[HeldT] = field(default_factory=deque)
    under_way: set[str] = field(default_factory=set)

    @property
    def troubled(self) -> bool:
        """Whether it is failing or slow."""
        return self.failing or self.slow

    @property
    def width(self) -> int:
        """Requests that may be under way."""
        return FAILING_WIDTH if self.failing else SLOW_WIDTH if self.slow else WIDTH

    def room(self, now: float) -> int:
        """Deliveries that may be claimed for it now."""
        if now < self.paused_until:
            return 0
        ahead = FAILING_AHEAD if self.failing else SLOW_AHEAD if self.slow else AHEAD
        return max(0, ahead - len(self.waiting) - len(self.under_way))

    @property
    def idle(self) -> bool:
        """Whether nothing is at hand."""
        return not self.waiting and not self.under_way

    def note(self, *, well: bool, seconds: float, asked: float, longest_pause: float) -> None:
        """What a request came to, after `seconds`; `asked` to be let alone for so long."""
        self.failing, self.slow = not well, seconds > SLOW_SECONDS
        self.failures = 0 if well else self.failures + 1
        pause = 0.0 if well else min(longest_pause, _FIRST_PAUSE * 2.0 ** min(self.failures, 20))
        self.used_at = time.monotonic()
        self.asked_until = max(self.asked_until, self.used_at + asked)  # also where others were on their way meanwhile
        self.paused_until = max(self.used_at + pause, self.asked_until)


class Lanes(Generic[HeldT]):
    """All lanes of a process, and whose turn it is."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane[HeldT]] = {}
        self._under_way = 0
        self._troubled = 0
        self._blocked = False

    def rooms(self) -> dict[str, int]:
        """How many more deliveries may be claimed for an endpoint, where it is less than `AHEAD`."""
        now = time.monotonic()
        return {name: room for name, lane in self._lanes.items() if (room := lane.room(now)) < AHEAD}

    @property
    def full(self) -> bool:
        """Whether nothing may begin."""
        return self._under_way >= SLOTS

    def add(self, endpoint: str, held: HeldT, *, failing: bool) -> None:
        """Take a delivery that was claimed; one that is at hand already is not taken twice."""
        lane = self._lanes.get(endpoint)
        if lane is None:
            lane = self._lanes[endpoint] = Lane(endpoint, failing)
        if held.message not in lane.under_way and all(other.message != held.message for other in lane.waiting):
            lane.waiting.append(held)

    def begin(self, only: Lane[HeldT] | None = None) -> list[tuple[Lane[HeldT], HeldT]]:
        """What may begin now, and counts as under way from here on. What is no longer ours is forgotten.

        `only`: the lane where something ended; others are looked at where they had no slot before.
        """
        now = time.monotonic()
        lanes = self._lanes.values() if only is None or self._blocked else (only,)
        self._blocked = False
        found: list[tuple[Lane[HeldT], HeldT]] = []
        for lane in lanes:
            while lane.waiting and lane.waiting[0].until <= now:
                lane.waiting.popleft()
            while lane.waiting and self._free(lane, now):
                held = lane.waiting.popleft()
                lane.under_way.add(held.message)
                self._count(lane, 1)
                found.append((lane, held))
        return found

    def end(self, lane: Lane[HeldT], held: HeldT, *, well: bool, seconds: float, asked: float, pause: float) -> None:
        """A request has come to its end; `pause` is the longest that a failing lane waits."""
        lane.under_way.remove(held.message)
        self._count(lane, -1)
        before = lane.troubled
        lane.note(well=well, seconds=seconds, asked=asked, longest_pause=pause)
        self._troubled += len(lane.under_way) * (lane.troubled - before)

    def resumes(self) -> float | None:
        """Seconds until the next paused lane goes on, None where none is paused."""
        now = time.monotonic()
        ends = [lane.paused_until - now for lane in self._lanes.values() if lane.paused_until > now]
        return min(ends, default=None)

    def tidy(self) -> list[str]:
        """Forget lanes that were idle for a while; their endpoints."""
        before = time.monotonic() - _KEPT_SECONDS
        idle = [(name, lane) for name, lane in self._lanes.items() if lane.idle]
        gone = [name for name, lane in idle if max(lane.used_at, lane.paused_until) < before]
        for name in gone:
            del self._lanes[name]
        return gone

    def waiting(self) -> list[tuple[str, str]]:
        """Endpoint and message of all that is at hand and has not begun."""
        return [(lane.endpoint, held.message) for lane in self._lanes.values() for held in lane.waiting]

    def _free(self, lane: Lane[HeldT], now: float) -> bool:
        if now < lane.paused_until or len(lane.under_way) >= lane.width:
            return False
        free = not self.full and (not lane.troubled or self._troubled < TROUBLED_SLOTS)
        self._blocked = self._blocked or not free
        return free

    def _count(self, lane: Lane[HeldT], change: int) -> None:
        self._under_way += change
        self._troubled += change * lane.troubled

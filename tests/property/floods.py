"""A tenant with more than the machines can do, and one that sends a short job now and then: the real lanes, turns and
window, on a clock of its own."""

import heapq
import itertools
import random
from collections import Counter, deque
from dataclasses import dataclass, field

from processors.batcher import BULK_EVERY
from producers.lanes import Held, Lanes
from producers.round_robin import Offer
from producers.window import Window
from schemas.envelope import Lane

ALLOWANCE = 64
_TICK = 0.01
_LOOKED_AT = 40  # documents of the flood at once: the rest only waits
_BEFORE, _AFTER = (0.04, 0.08), (0.07, 0.13)
"""Seconds from the release to the engines, and from there to a page's fate."""


@dataclass(eq=False)
class Document:
    """A document on its way."""

    name: str
    tenant: str
    lane: Lane
    pages: int
    at: float
    released: Counter[Lane] = field(default_factory=Counter)
    counted: bool = False
    settled: int = 0


class Farm:
    """`workers` engines of `seconds` a page, before them the queues of both lanes."""

    def __init__(self, seconds: float, workers: int, flood: tuple[Lane, int, int] | None) -> None:
        self.now = 0.0
        self._seconds = seconds
        self._free = workers
        self._dice = random.Random(1)
        self._lanes, self._window = Lanes({}, ALLOWANCE), Window(0.0)
        self._queues: dict[Lane, deque[Document]] = {"interactive": deque(), "bulk": deque()}
        self._coming: list[tuple[float, int, str, Document, Lane]] = []
        self._order = itertools.count()
        self._passed_over = 0
        self._waiting: list[Document] = []
        lane, documents, pages = flood or ("bulk", 0, 0)
        self._flood = (self._stored(number, lane, pages) for number in range(documents))

    @staticmethod
    def _stored(number: int, lane: Lane, pages: int) -> Document:
        """What is beyond the allowance is stored in the bulk lane."""
        return Document(f"a{number:05d}", "a", lane if number < ALLOWANCE else "bulk", pages, 0.0)

    def took(self, lane: Lane, pages: int) -> float:
        """Seconds of one job of another tenant."""
        job = Document(f"b{next(self._order)}", "b", lane, pages, self.now)
        self._waiting.append(job)
        while job.settled < job.pages:
            self.step()
        return self.now - job.at

    def step(self) -> None:
        """A tick: what came, who is free, and a turn of the dispatcher."""
        self.now += _TICK
        settled = 0
        while self._coming and self._coming[0][0] <= self.now:
            _, _, what, document, lane = heapq.heappop(self._coming)
            if what == "page":
                document.counted = True
                self._queues[lane].append(document)
            elif what == "read":
                self._free += 1
                self._come(self._dice.uniform(*_AFTER), "settled", document, lane)
            else:
                document.settled += 1
                settled += 1
        while self._free and any(self._queues.values()):
            self._read(self._next())
        self._turn(settled)

    def _next(self) -> Lane:
        """As the batcher takes them, one at a time."""
        first, bulk = self._queues["interactive"], self._queues["bulk"]
        if bulk and (not first or self._passed_over >= BULK_EVERY - 1):
            self._passed_over = 0
            return "bulk"
        self._passed_over = self._passed_over + 1 if bulk else 0
        return "interactive"

    def _read(self, lane: Lane) -> None:
        self._free -= 1
        self._come(self._seconds * self._dice.uniform(1, 1.1), "read", self._queues[lane].popleft(), lane)

    def _come(self, seconds: float, what: str, document: Document, lane: Lane) -> None:
        heapq.heappush(self._coming, (self.now + seconds, next(self._order), what, document, lane))

    def _turn(self, settled: int) -> None:
        self._waiting = [one for one in self._waiting if one.settled < one.pages]
        self._waiting += itertools.islice(self._flood, max(0, _LOOKED_AT - len(self._waiting)))
        offers, held = self._offers(), self._held()
        chosen = self._lanes.choose(offers, held, self._window.size)
        self._window.observe(self.now, sum(held.values()), settled, full=len(offers) > len(chosen))
        named = {one.name: one for one in self._waiting} if chosen else {}
        for taken in chosen:
            one = named[taken.offer.job]
            pages = min(taken.pages, one.pages - one.released.total())
            one.released[taken.lane] += pages
            if taken.last >= ALLOWANCE:
                one.lane = "bulk"
            for _ in range(pages):
                self._come(self._dice.uniform(*_BEFORE), "page", one, taken.lane)

    def _offers(self) -> list[Offer]:
        """The first of each tenant and lane that wait, not those that are being counted."""
        seen: Counter[tuple[str, Lane]] = Counter()
        found = []
        for one in self._waiting:
            released = one.released.total()
            if released < one.pages and (one.counted or not released) and seen[one.tenant, one.lane] < 8:
                seen[one.tenant, one.lane] += 1
                left = one.pages - released if released else None
                found.append(Offer(one.tenant, one.lane, one.name, 1, released + 1, left))
        return found

    def _held(self) -> Held:
        held: Counter[tuple[Lane, str]] = Counter()
        for one in self._waiting:
            first = min(one.settled, one.released["interactive"])
            held["interactive", one.tenant] += one.released["interactive"] - first
            held["bulk", one.tenant] += one.released["bulk"] - (one.settled - first)
        return held

"""A backlog of several tenants worked off on a clock of its own: the real turns, window and estimates."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from producers.lanes import Lanes
from producers.loads import Counts, Load
from producers.queueing import place
from producers.round_robin import Chosen, Offer
from producers.window import Window
from schemas.control import LoadReport
from schemas.envelope import Lane
from schemas.jobs import QueuePlace
from schemas.ports import Backlog

_TICK = 0.02
_FAR = 2.0
"""Nearer than this nobody asks."""


@dataclass
class Document:
    """A document on its way; `counted`, when it began, and `ended` are infinite before they came.

    Of its pages `first` were released to go first.
    """

    tenant: str
    pages: int
    released: int = 0
    first: int = 0
    settled: int = 0
    counted: float = float("inf")
    ended: float = float("inf")

    def left(self, now: float) -> int:
        """Pages to release, as far as is known at a time."""
        return self.pages - self.released if self.counted <= now else int(not self.released)


@dataclass
class Queue:
    """All of `documents` wait from the start, each tenant's in their order; `seconds` a page at each of `workers`."""

    documents: Sequence[Document]
    weights: Mapping[str, float]
    seconds: float
    workers: int = 2
    slower: Callable[[float], float] = lambda now: 1.0
    """By how much neighbours slow the engines at a time."""
    way: float = 0.06
    """Seconds that a page takes from its release to the engines, and as many from there to its fate."""
    told: list[tuple[float, Document, QueuePlace]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lanes, self._window, self._load = Lanes(self.weights, 64), Window(0.0), Load(self.weights)
        self._free = [0.0] * self.workers
        self._fates: list[tuple[float, int]] = []

    def run(self) -> None:
        """Until all have ended, asking for each that waits once a second."""
        tick = 0
        while any(one.settled < one.pages for one in self.documents):
            in_work = self._turn(tick * _TICK)
            if tick % round(1 / _TICK) == 0:
                self._tell(tick * _TICK, in_work)
            tick += 1

    def errors(self, said: Callable[[QueuePlace], float | None], came: Callable[[Document], float]) -> list[float]:
        """Of what was told, relative to what it took."""
        found = [(said(place), came(one) - at) for at, one, place in self.told]
        return [abs(told - took) / took for told, took in found if told is not None and took >= _FAR]

    def _turn(self, now: float) -> int:
        settled = sum(self._settle(now))
        held: dict[tuple[Lane, str], int] = {}
        for one in self.documents:
            first = max(0, one.first - one.settled)
            held["interactive", one.tenant] = held.get(("interactive", one.tenant), 0) + first
            held["bulk", one.tenant] = held.get(("bulk", one.tenant), 0) + one.released - one.settled - first
        numbered = [(str(number), one) for number, one in enumerate(self.documents)]
        known = {(name, 1): (one.tenant, one.pages) for name, one in numbered if one.counted <= now < one.ended}
        self._load.lengths.count(known)
        offers = [
            Offer(one.tenant, "bulk", name, 1, one.released + 1, one.left(now) if one.released else None)
            for name, one in numbered
            if one.left(now)
        ]
        chosen = self._lanes.choose(offers, held, self._window.size)
        self._window.observe(now, sum(held.values()), settled, full=len(offers) > len(chosen))
        for taken in chosen:
            self._work(now, taken)
        return sum(held.values())

    def _settle(self, now: float) -> Iterator[int]:
        while self._fates and self._fates[0][0] <= now:
            one = self.documents[heapq.heappop(self._fates)[1]]
            one.settled += 1
            one.ended = now if one.settled == one.pages else one.ended
            yield 1

    def _work(self, now: float, taken: Chosen) -> None:
        one = self.documents[int(taken.offer.job)]
        one.first += taken.pages if taken.lane == "interactive" else 0
        one.released, one.counted = taken.last, min(one.counted, now + self.way)
        for _ in range(taken.pages):
            done = max(heapq.heappop(self._free), now + self.way) + self.seconds * self.slower(now)
            heapq.heappush(self._free, done)
            heapq.heappush(self._fates, (done + self.way, int(taken.offer.job)))

    def _tell(self, now: float, in_work: int) -> None:
        pages: Counter[str] = Counter()
        uncounted: Counter[str] = Counter()
        asked = []
        for one in self.documents:
            counted = one.counted <= now
            asked.append((one, Backlog("bulk", pages[one.tenant], one.left(now), counted, uncounted[one.tenant])))
            pages[one.tenant] += one.left(now)
            uncounted[one.tenant] += not counted
        counts = Counts(_bulk(pages), {"bulk": 0, "interactive": 0}, _bulk(uncounted))
        written = self._load.report(counts, in_work, self._window, 0.0).value or b""
        report = LoadReport.model_validate_json(written)
        self.told += [(now, one, place(one.tenant, own, report)) for one, own in asked if own.pages]


def _bulk(numbers: Mapping[str, int]) -> Mapping[Lane, Mapping[str, int]]:
    return {"bulk": numbers, "interactive": {}}

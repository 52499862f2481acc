"""Deficit round robin: who of those that wait is next, so that each gets machines by its weight and nobody waits long.

Costs are pages. Pure: the dispatcher and its simulation run these classes.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.envelope import Lane

SLICE = 32
"""Most pages of a slice."""
_LEAST_WEIGHT = 0.01


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that waits: pages of a job from `first` on, or a single record (`record` is its id).

    `pages` is how many are left, None for a document that is not counted yet.
    """

    tenant: str
    lane: Lane
    job: str
    run: int
    first: int = 1
    pages: int | None = None
    record: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is released of an offer: pages `first` to `last`, worked on in `lane`."""

    offer: Offer
    lane: Lane
    last: int

    @property
    def pages(self) -> int:
        """How many."""
        return self.last - self.offer.first + 1


class RoundRobin:
    """The turns of one lane. A tenant's deficit is kept while it waits, and lost when it waits no more.

    A round may take many calls: what it gives each tenant is settled when it begins, however little room one call has.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._ring: deque[str] = deque()
        self._deficits: dict[str, float] = {}
        self._served: set[str] = set()
        self._quantum = 0.0

    def share(
        self, lane: Lane, offers: Mapping[str, Sequence[Offer]], room: int, caps: Mapping[str, int] | None = None
    ) -> list[Chosen]:
        """At most `room` pages, and of each tenant at most its cap; of each offer one slice."""
        left = {tenant: deque(waiting) for tenant, waiting in offers.items() if waiting}
        self._enrol(left)
        blind = max(1, room // 2) if sum(map(len, left.values())) == 1 else 1
        quantum = max(1.0, min(float(SLICE), room / max(1, len(left))))
        caps = dict(caps or {})
        chosen: list[Chosen] = []
        while room > 0 and left:
            tenant = self._ring[0]
            if tenant in left and self._deficits[tenant] < 1:
                self._refill(tenant, quantum)
            taken = self._turn(lane, tenant, left.get(tenant, deque()), min(room, caps.get(tenant, room)), blind)
            chosen += taken
            pages = sum(item.pages for item in taken)
            room -= pages
            if tenant in caps:
                caps[tenant] -= pages
            if not left.get(tenant) or caps.get(tenant, 1) < 1:
                left.pop(tenant, None)
            if tenant not in left or self._deficits[tenant] < 1:
                self._ring.rotate(-1)
        return chosen

    def _refill(self, tenant: str, quantum: float) -> None:
        """Its part of the round; who is served a second time begins the next one."""
        if not self._served or tenant in self._served:
            self._served.clear()
            self._quantum = quantum
        self._served.add(tenant)
        self._deficits[tenant] += self._quantum * max(_LEAST_WEIGHT, self._weights.get(tenant, 1.0))

    def _turn(self, lane: Lane, tenant: str, waiting: deque[Offer], room: int, blind: int) -> list[Chosen]:
        """What a tenant's deficit buys."""
        taken: list[Chosen] = []
        while waiting and room > 0 and self._deficits[tenant] >= 1:
            offer = waiting.popleft()
            item = _slice(offer, lane, min(SLICE, room, int(self._deficits[tenant])), blind)
            taken.append(item)
            room -= item.pages
            self._deficits[tenant] -= item.pages
        return taken

    def _enrol(self, offers: Mapping[str, Sequence[Offer]]) -> None:
        """Who comes new stands last; who waits no more is forgotten."""
        self._ring = deque(tenant for tenant in self._ring if offers.get(tenant))
        self._ring.extend(tenant for tenant, waiting in offers.items() if waiting and tenant not in self._deficits)
        self._deficits = {tenant: self._deficits.get(tenant, 0.0) for tenant in self._ring}
        self._served &= self._deficits.keys()


def _slice(offer: Offer, lane: Lane, most: int, blind: int) -> Chosen:
    """`blind` pages of a document of which nobody knows yet how many it has."""
    pages = min(most, blind if offer.pages is None else offer.pages)
    return Chosen(offer, lane, offer.first + max(1, pages) - 1)

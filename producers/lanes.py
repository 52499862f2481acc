"""Who goes first: interactive pages up to an allowance, and the first pages of whoever comes anew. Pure.

A tenant that asks for little has it before one that asks for much, in either lane: who comes with nothing waiting has
a credit of pages that go first. Once it is spent the tenant has its turns like all others, until nothing of it waits.
So a flood has the machines while nobody else wants them, and costs its neighbours the page that is being worked on.
"""

from collections.abc import Iterable, Mapping, Sequence

from producers.round_robin import Chosen, Offer, RoundRobin
from schemas.envelope import Lane

RESERVE = 8
"""One of so many pages in work is by turns where such wait: those that go first slow it, and cannot stop it."""
BULK_CREDIT = 8
"""Pages of a tenant's bulk lane that go first when it comes with nothing waiting there."""

Held = Mapping[tuple[Lane, str], int]
"""Pages in work by the lane that they are worked in, and tenant."""
_Waiting = dict[str, list[Offer]]


class Lanes:
    """Decides what is released. `allowance`: pages of a tenant that go first because they are interactive."""

    def __init__(self, weights: Mapping[str, float], allowance: int) -> None:
        self._credits: dict[Lane, int] = {"interactive": allowance, "bulk": min(BULK_CREDIT, allowance)}
        self._left: dict[tuple[Lane, str], int] = {}
        self._first: dict[Lane, RoundRobin] = {"interactive": RoundRobin(weights), "bulk": RoundRobin(weights)}
        self._turns = RoundRobin(weights)

    def choose(self, offers: Iterable[Offer], held: Held, window: int) -> list[Chosen]:
        """What of `offers` (of each tenant in its order) goes to work now, where at most `window` pages are to be.

        What goes first is worked in the interactive lane, whatever its own, and does not wait for bulk pages in work:
        the steps take it before them. Of a tenant's rest its interactive offers are next.
        """
        waiting = _by_tenant(offers)
        self._left = {
            (lane, tenant): self._left.get((lane, tenant), self._credits[lane])
            for lane, tenants in waiting.items()
            for tenant in tenants
        }
        in_work = {lane: sum(pages for (of, _), pages in held.items() if of == lane) for lane in waiting}
        by_turns = waiting["bulk"] or any(left < 1 for left in self._left.values())
        reserve = max(1, window // RESERVE) if by_turns else 0
        chosen: list[Chosen] = []
        for lane in ("interactive", "bulk"):
            room = window - reserve - in_work["interactive"] - sum(taken.pages for taken in chosen)
            chosen += self._share_first(lane, waiting[lane], held, room, max(1, window // 2))
        total = in_work["interactive"] + in_work["bulk"] + sum(taken.pages for taken in chosen)
        room = max(0, window - total, reserve - in_work["bulk"])
        return chosen + self._turns.share("bulk", _rest(waiting, chosen), room)

    def _share_first(
        self, lane: Lane, waiting: Mapping[str, Sequence[Offer]], held: Held, room: int, most: int
    ) -> list[Chosen]:
        """At most `room` pages that go first, and no tenant more than `most` at once: whoever comes next finds room."""
        caps = {
            tenant: min(self._left[lane, tenant], most - held.get(("interactive", tenant), 0))
            for tenant in waiting
            if self._left[lane, tenant] > 0
        }
        entitled = {tenant: waiting[tenant] for tenant, cap in caps.items() if cap > 0}
        chosen = self._first[lane].share("interactive", entitled, max(0, room), caps)
        for taken in chosen:
            self._left[lane, taken.offer.tenant] -= taken.pages
        return chosen


def _rest(waiting: Mapping[Lane, _Waiting], chosen: Iterable[Chosen]) -> _Waiting:
    """What has its turn: of each tenant what does not go first, interactive before bulk."""
    first = {taken.offer for taken in chosen}
    rest: _Waiting = {}
    for lane in ("interactive", "bulk"):
        for tenant, offers in waiting[lane].items():
            rest.setdefault(tenant, []).extend(offer for offer in offers if offer not in first)
    return rest


def _by_tenant(offers: Iterable[Offer]) -> dict[Lane, _Waiting]:
    found: dict[Lane, _Waiting] = {"interactive": {}, "bulk": {}}
    for offer in offers:
        found[offer.lane].setdefault(offer.tenant, []).append(offer)
    return found

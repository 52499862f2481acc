"""Two lanes: interactive pages first, up to each tenant's allowance, and never so that bulk stands still. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from producers.round_robin import Chosen, Offer, RoundRobin
from schemas.envelope import Lane

RESERVE = 8
"""One of so many pages in work is bulk where bulk waits: interactive floods slow it, and cannot stop it."""

Held = Mapping[tuple[Lane, str], int]
"""Pages in work by lane and tenant."""


class Lanes:
    """Decides what is released. `allowance`: pages that a tenant may have in work as interactive."""

    def __init__(self, weights: Mapping[str, float], allowance: int) -> None:
        self._allowance = allowance
        self._interactive, self._bulk = RoundRobin(weights), RoundRobin(weights)

    def choose(self, offers: Iterable[Offer], held: Held, window: int) -> list[Chosen]:
        """What of `offers` (of each tenant in its order) goes to work now, where at most `window` pages are to be.

        Interactive pages do not wait for bulk pages that are in work: the steps take them first.
        """
        waiting = _by_tenant(offers)
        reserve = max(1, window // RESERVE) if waiting["bulk"] else 0
        in_work = {lane: sum(pages for (of, _), pages in held.items() if of == lane) for lane in waiting}
        caps = {
            tenant: max(0, self._allowance - held.get(("interactive", tenant), 0)) for tenant in waiting["interactive"]
        }
        room = max(0, window - reserve - in_work["interactive"])
        first = self._interactive.share("interactive", waiting["interactive"], room, caps)
        total = in_work["interactive"] + in_work["bulk"] + sum(taken.pages for taken in first)
        room = max(0, window - total, reserve - in_work["bulk"])
        return first + self._bulk.share("bulk", waiting["bulk"], room)


def _by_tenant(offers: Iterable[Offer]) -> dict[Lane, dict[str, Sequence[Offer]]]:
    found: dict[Lane, dict[str, list[Offer]]] = {"interactive": {}, "bulk": {}}
    for offer in offers:
        found[offer.lane].setdefault(offer.tenant, []).append(offer)
    return {lane: dict(tenants) for lane, tenants in found.items()}

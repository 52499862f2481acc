"""The release loop of the dispatcher: what waits goes to the steps, just so much that their queues stay short.

What it releases is decided in the database before it is published, and forgotten there after. What a crash leaves
between the two is published again as it was decided.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import Counter, Gauge

from producers.lanes import Held, Lanes
from producers.ledger import Ledger, Working
from producers.loads import Counts, Load
from producers.round_robin import Chosen, Offer
from producers.window import Window
from schemas.errors import DependencyDown
from schemas.failpoints import Failpoints
from schemas.ports import Publisher
from schemas.records import Outgoing

log = logging.getLogger(__name__)

RELEASED = Counter("headrace_dispatcher_released_pages", "Pages released to the steps.", ["lane"])
IN_WORK = Gauge("headrace_dispatcher_in_work_pages", "Pages released that have not come to their fate.", ["lane"])
WINDOW = Gauge("headrace_dispatcher_window_pages", "Pages that may be in work at once.")

BUSY_SECONDS = 0.02
"""Least time from turn to turn while more waits than there is room for."""
TURN_SECONDS = 1.0
"""How soon is seen whose notification was lost, while anything waits."""
STANDBY_SECONDS = 0.5
HOLD_SECONDS = (0.2, 0.5, 1.0, 2.0)
MOST_OFFERS = 64
"""Jobs of a tenant that one turn looks at."""

News = Literal["waiting", "settled"]


@dataclass(frozen=True, slots=True)
class Release:
    """Something decided: the records to publish for it, and what `forget` wants to know it by."""

    name: tuple[str, ...]
    records: Sequence[Outgoing]


class Backlog(Protocol):
    """What waits to be released. Everything raises `DependencyDown`."""

    async def leads(self) -> bool:
        """Whether this process is the one that releases, trying to be."""
        ...

    async def unconfirmed(self) -> list[Release]:
        """What was decided and perhaps not published, and what is due whatever the window says (delayed retries)."""
        ...

    async def working(self) -> list[Working]:
        """The jobs with pages in work; those that `ended` are told once more and then forgotten."""
        ...

    async def offers(self, most: int) -> list[Offer]:
        """At most `most` of each tenant and lane, in the order in which they are to be released."""
        ...

    async def stopped(self) -> list[Release]:
        """Waiting work that is not to be done: cancelled, expired, deleted; with the event that ends it."""
        ...

    async def decide(self, chosen: Sequence[Chosen]) -> list[Release]:
        """Note what is released now; what another has released meanwhile is left out."""
        ...

    async def forget(self, releases: Sequence[Release]) -> None:
        """These were published."""
        ...

    async def next_due(self) -> float | None:
        """Seconds until a delayed record is due, None without one."""
        ...

    async def counts(self) -> Counts:
        """How many pages wait, by lane and tenant."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a dispatcher works with. `holding` is called with 1 while something that it needs is down.

    `now` gives seconds that never jump.
    """

    backlog: Backlog
    publisher: Publisher
    failpoints: Failpoints
    weights: Mapping[str, float]
    allowance: int
    holding: Callable[[float], object]
    now: Callable[[], float] = time.monotonic


class Dispatcher:
    """One process of the dispatcher: of several, one releases, and the others stand by."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._backlog = parts.backlog
        self._lanes = Lanes(parts.weights, parts.allowance)
        self._window = Window(parts.now())
        self._ledger = Ledger()
        self._load = Load(parts.weights, parts.now)
        self._news = asyncio.Event()
        self._hungry = True
        self._failures = 0

    def hear(self, news: News) -> None:
        """Something new waits, or something settled: the latter matters only where anything waits."""
        if news == "waiting" or self._hungry:
            self._news.set()

    async def run(self) -> None:
        """Release for ever."""
        while True:
            try:
                await self._session()
            except DependencyDown as error:
                if not self._failures:
                    log.warning("the dispatcher releases nothing for now: %s", error)
                self._parts.holding(1)
                await asyncio.sleep(HOLD_SECONDS[min(self._failures, len(HOLD_SECONDS) - 1)])
                self._failures += 1

    async def _session(self) -> None:
        while not await self._backlog.leads():
            self._well()
            await asyncio.sleep(STANDBY_SECONDS)
        while await self._backlog.leads():
            self._news.clear()
            more = await self.turn()
            self._well()
            await self._rest(more)

    async def turn(self) -> bool:
        """Release what there is room for; whether more waits that had room.

        What an earlier turn or process decided and did not publish comes last: rarely any, and a new job waits for it.
        """
        await self._publish(await self._backlog.stopped())
        now = self._parts.now()
        working = await self._backlog.working()
        self._ledger.take(working, now, self._window.size)
        self._load.lengths.count({(job.job, job.run): (job.tenant, job.total) for job in working if job.total})
        offers = await self._backlog.offers(MOST_OFFERS)
        held: Held = self._ledger.held
        chosen = self._lanes.choose(offers, held, self._window.size + self._ledger.extra)
        self._window.observe(now, sum(held.values()), self._ledger.settled, full=len(offers) > len(chosen))
        if chosen:
            await self._publish(await self._backlog.decide(chosen))
            self._note(chosen, now)
        await self._publish(await self._backlog.unconfirmed())
        self._hungry = bool(offers)
        for lane in ("interactive", "bulk"):
            IN_WORK.labels(lane).set(sum(pages for (of, _), pages in held.items() if of == lane))
        WINDOW.set(self._window.size)
        await self._report(held)
        return bool(chosen) and len(offers) >= len(chosen)

    async def _publish(self, releases: Sequence[Release]) -> None:
        if not releases:
            return
        self._parts.failpoints.reach("decided", releases[0].records[0].topic)
        await self._parts.publisher.publish([record for release in releases for record in release.records])
        self._parts.failpoints.reach("released", releases[0].records[0].topic)
        await self._backlog.forget(releases)

    def _note(self, chosen: Sequence[Chosen], now: float) -> None:
        for taken in chosen:
            RELEASED.labels(taken.lane).inc(taken.pages)
            if taken.offer.record:
                self._ledger.lend(now + max(1.0, self._window.sojourn), taken.lane, taken.offer.tenant)

    async def _report(self, held: Held) -> None:
        if self._load.due(moving=self._hungry or bool(held)):
            began = self._parts.now()
            counts = await self._backlog.counts()
            cost = self._parts.now() - began
            record = self._load.report(counts, sum(held.values()), self._window, cost)
            await self._parts.publisher.publish([record])

    async def _rest(self, more: bool) -> None:
        """Until news; a short while where there was room for more, at most until something is due."""
        if more or (self._hungry and self._news.is_set()):
            await asyncio.sleep(BUSY_SECONDS)
            return
        due = await self._backlog.next_due()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TURN_SECONDS if due is None else max(0.0, min(TURN_SECONDS, due))):
                await self._news.wait()

    def _well(self) -> None:
        if self._failures:
            log.info("the dispatcher goes on, after %s failures", self._failures)
        self._failures = 0
        self._parts.holding(0)

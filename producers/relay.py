"""The relay: what transactions left in the outbox goes to its topics, for `read_committed` readers exactly once.

It is a session after a session. Each takes the lead among relays (a lock in PostgreSQL), fences the producers before
it, reads from the log how far they came, and goes on from there. Whatever fails ends the session: what stands on the
log decides where the next one begins, never what this process believes.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import Counter, Gauge

from producers.in_time import come
from producers.relay_log import Fenced, RelayLog
from schemas.errors import DependencyDown, NewerThanUs
from schemas.ports import Outbox, OutboxRow, Place
from schemas.records import Outgoing
from schemas.results import RelayPosition
from schemas.topics import RESULTS, tenant_results

log = logging.getLogger(__name__)

RECORDS = Counter("headrace_relay_records", "Outbox records put on a topic.", ["topic"])
WAITING = Gauge("headrace_relay_waiting_records", "Outbox rows not published yet.")
OLDEST = Gauge("headrace_relay_oldest_age_seconds", "Age of the oldest outbox row not published yet.")

EXIT_FENCED = EXIT_STUCK = 70
_T = TypeVar("_T")
HOLD_SECONDS = (0.2, 0.5, 1.0, 2.0)
STANDBY_SECONDS = 0.5
IDLE_SECONDS = 1.0
"""How soon a row is seen whose notification was lost."""
HELD_BACK_SECONDS = 0.01
MEASURE_SECONDS = 5.0
PRUNE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a relay works with. `connect` makes a session on the log; `tenants` have a results topic of their own.

    `ready` is called once this relay leads or stands by, `holding` with 1 while something that it needs is down.
    A call of the log that takes longer than `patience` seconds, though it has limits of its own, is stuck (librdkafka
    waits by the wall clock, which may be set back): `abandon` ends the process, as no thread can be stopped.
    """

    outbox: Outbox
    connect: Callable[[], RelayLog]
    tenants: Collection[str]
    ready: Callable[[], object]
    holding: Callable[[float], object]
    patience: float = 60.0
    abandon: Callable[[int], object] = os._exit


class Relay:
    """One process of the relay; of several, one works and the others stand by."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._outbox = parts.outbox
        self._news = asyncio.Event()
        self._stopping = False
        self._stands_by = self._ready = False
        self._failures = 0
        self._complaint = ""
        self._pause = HELD_BACK_SECONDS
        self._measured = self._pruned = 0.0

    def stop(self) -> None:
        """End after the batch that is on its way."""
        self._stopping = True
        self._news.set()

    async def run(self) -> int:
        """Relay until stopped; the exit status, 70 where another relay has fenced this one."""
        while not self._stopping:
            try:
                await self._session()
            except Fenced as error:
                log.critical("the relay ends: %s", error)
                return EXIT_FENCED
            except (DependencyDown, NewerThanUs) as error:
                await self._hold(error)
        return 0

    async def _hold(self, error: Exception) -> None:
        if str(error) != self._complaint:
            log.warning("the relay holds: %s", error)
            self._complaint = str(error)
        self._parts.holding(1)
        self._news.clear()
        await self._rest(HOLD_SECONDS[min(self._failures, len(HOLD_SECONDS) - 1)])
        self._failures += 1

    async def _session(self) -> None:
        try:
            incarnation = await self._outbox.lead(self._news.set)
            while incarnation is None and not self._stopping:
                self._stand_by()
                await self._rest(STANDBY_SECONDS)
                incarnation = await self._outbox.lead(self._news.set)
            if incarnation is not None:
                await self._lead(incarnation)
        finally:
            await self._outbox.close()

    def _stand_by(self) -> None:
        if not self._stands_by:
            log.info("another relay leads; standing by")
            self._stands_by = True
        self._works()
        WAITING.set(0)
        OLDEST.set(0)

    async def _lead(self, incarnation: str) -> None:
        session = self._parts.connect()
        try:
            position = await self._bounded(session.open)
            place = await self._outbox.begin(position)
            log.info("relaying from transaction %s, row %s of outbox %s", *place, incarnation)
            self._stands_by = False
            while not self._stopping:
                place = await self._turn(session, incarnation, place)
        finally:
            await self._bounded(session.close)

    async def _bounded(self, call: Callable[..., _T], *given: object) -> _T:
        """What the call comes to, or the end of the process."""
        work = asyncio.ensure_future(asyncio.to_thread(call, *given))
        if await come([work], self._parts.patience, self._parts.patience / 4):
            return work.result()
        log.critical("the relay ends: its Kafka client has not come back for %g s", self._parts.patience)
        self._parts.abandon(EXIT_STUCK)
        return await work

    async def _turn(self, session: RelayLog, incarnation: str, place: Place) -> Place:
        """Publish a batch, or wait where there is none; the place after it."""
        self._news.clear()
        rows = await self._outbox.read(place)
        if rows:
            place = rows[-1].place
            records = [record for row in rows for record in self._copies(row)]
            position = RelayPosition(incarnation=incarnation, xid=place.xid, seq=place.seq)
            await self._bounded(session.publish, records, position, lambda: self._outbox.leads)
            for record in records:
                RECORDS.labels(_label(record.topic)).inc()
            self._pause = HELD_BACK_SECONDS
        self._works()
        await self._keep_house(place)
        if not rows:
            await self._wait(place)
        return place

    async def _wait(self, place: Place) -> None:
        """Until news; soon again where a commit that nobody announces may set rows free."""
        if await self._outbox.held_back(place):
            await self._rest(self._pause)
            self._pause = min(2 * self._pause, IDLE_SECONDS)
        else:
            WAITING.set(0)
            OLDEST.set(0)
            await self._rest(IDLE_SECONDS)

    async def _keep_house(self, place: Place) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._measured > MEASURE_SECONDS:
            count, age = await self._outbox.backlog(place)
            WAITING.set(count)
            OLDEST.set(age)
            self._measured = now
        if now - self._pruned > PRUNE_SECONDS and not await self._outbox.prune(place):
            self._pruned = now

    def _copies(self, row: OutboxRow) -> list[Outgoing]:
        record = row.record
        if record.topic != RESULTS.name or row.tenant not in self._parts.tenants:
            return [record]
        own = Outgoing(tenant_results(row.tenant).name, record.key, record.value, record.headers)
        return [record, own]

    def _works(self) -> None:
        """What is said and done once all that this process needs has answered."""
        if self._failures:
            log.info("the relay goes on, after %s failures", self._failures)
            self._failures, self._complaint = 0, ""
        self._parts.holding(0)
        if not self._ready:
            self._parts.ready()
            self._ready = True

    async def _rest(self, seconds: float) -> None:
        if self._stopping:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()


def _label(topic: str) -> str:
    """A tenant's topic without the tenant: whoever scrapes need not learn who our tenants are."""
    return f"{RESULTS.name}.*" if topic.startswith(f"{RESULTS.name}.") else topic

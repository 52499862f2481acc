"""The reconciler: what no record on its way will ever put right, looked for at intervals by one process.

It is no member of a group: one works, any others stand by. Each duty is a round over what the stores hold, in bounded
steps; each step is right by itself, whoever else works, so that a round may be broken off anywhere.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter as Metric
from prometheus_client import Gauge

from schemas.errors import DependencyDown, HeadraceError
from sinks.postgres.lead import Lead

log = logging.getLogger(__name__)

FOUND = Metric("headrace_reconciler_found", "What was not as it should be, and was put right or swept.", ["what"])
ROUND = Gauge("headrace_reconciler_round_timestamp_seconds", "When a round of the duty last ended well.", ["duty"])

LEAD_SECONDS = 1.0
HOLD_SECONDS = 5.0
OFTEN_SECONDS = 60.0


class Round(Protocol):
    """One round of a duty."""

    async def __call__(self, *, dry: bool = False) -> Counter[str]:
        """Put right what is found, or with `dry` only count it; how much of each kind. Raises `HeadraceError`."""
        ...


@dataclass(frozen=True, slots=True)
class Duty:
    """A round and how often it is made, in seconds from end to begin."""

    name: str
    every: float
    round: Round


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reconciler works with. `ready` and `holding` as in `producers.relay.Parts`."""

    lead: Lead
    duties: Sequence[Duty]
    ready: Callable[[], object]
    holding: Callable[[float], object]


class Reconciler:
    """One process of the reconciler."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopping = asyncio.Event()
        self._complaints: dict[str, str] = {}
        self._ready = False

    def stop(self) -> None:
        """End now: a round that is broken off goes on with the next."""
        self._stopping.set()

    async def run(self) -> int:
        """Work while this process leads, until stopped; the exit status."""
        work: asyncio.Task[None] | None = None
        try:
            while not self._stopping.is_set():
                leads = await self._leads()
                if leads and work is None:
                    work = asyncio.create_task(self._work())
                elif not leads and work is not None:
                    await _ended(work)
                    work = None
                if work is not None and work.done():
                    work.result()  # it only ends by an error that is ours: the process ends with it
                await self._rest(LEAD_SECONDS)
        finally:
            await _ended(work)
            self._parts.lead.release()
        return 0

    async def _leads(self) -> bool:
        try:
            leads = await self._parts.lead.held()
        except DependencyDown as error:
            self._complain("lead", error)
            return False
        self._content("lead")
        if not self._ready:
            self._parts.ready()
            self._ready = True
        return leads

    async def _work(self) -> None:
        """Those that are made often wait for none that takes long; of those, one at a time."""
        often, seldom = (
            [duty for duty in self._parts.duties if (duty.every <= OFTEN_SECONDS) is wanted] for wanted in (True, False)
        )
        await asyncio.gather(*(self._in_turn(duties) for duties in (often, seldom) if duties))

    async def _in_turn(self, duties: Sequence[Duty]) -> None:
        due = {duty.name: 0.0 for duty in duties}
        while True:
            for duty in duties:
                if due[duty.name] <= time.monotonic():
                    well = await self._perform(duty)
                    due[duty.name] = time.monotonic() + (duty.every if well else min(HOLD_SECONDS, duty.every))
            await asyncio.sleep(max(0.0, min(due.values()) - time.monotonic()))

    async def _perform(self, duty: Duty) -> bool:
        try:
            found = await duty.round()
        except HeadraceError as error:
            self._complain(duty.name, error)
            return False
        self._content(duty.name)
        ROUND.labels(duty.name).set(time.time())
        for what, count in found.items():
            FOUND.labels(what).inc(count)
            if count:
                log.info("%s: %s %s", duty.name, count, what.replace("_", " "))
        return True

    def _complain(self, what: str, error: HeadraceError) -> None:
        if self._complaints.get(what) != str(error):
            log.warning("%s: the reconciler holds: %s", what, error)
        self._complaints[what] = str(error)
        self._parts.holding(1)

    def _content(self, what: str) -> None:
        self._complaints.pop(what, None)
        if not self._complaints:
            self._parts.holding(0)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def _ended(work: asyncio.Task[None] | None) -> None:
    if work is not None:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

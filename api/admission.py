"""Who may submit now: backpressure by what waits, told by the dispatcher and measured on the acceptance log.

Needs neither PostgreSQL nor an answer of the log: what was heard last decides, so that refusing costs next to nothing.
"""

import asyncio
import contextlib
import random
import time
from datetime import UTC, datetime

from api.parts import LagReader, LoadReader
from schemas.control import LoadReport
from schemas.errors import DependencyDown, Overloaded, TooManyPagesWaiting
from schemas.settings import Settings

STALE_SECONDS = 30.0
"""How old a report of work that waits may be: the dispatcher writes one a second while anything moves."""
_MEASURE_SECONDS = 5.0
_UNKNOWN_SECONDS = 60.0  # to come back after, where nobody knows how fast the work is done
_LONGEST_SECONDS = 3600.0


class Admission:
    """The limits of one API process; `start` it inside the event loop."""

    def __init__(self, load: LoadReader, lag: LagReader, settings: Settings) -> None:
        self._load = load
        self._lag = lag
        self._most = settings.max_waiting_pages
        self._most_of_tenant = settings.max_waiting_pages_of_tenant
        self._behind = 0
        self._behind_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow the load, and to measure how far the dispatcher is behind the acceptance log."""
        self._load.start()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Measure no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def check(self, tenant: str) -> None:
        """Return where a job of `tenant` may be accepted.

        Raises `TooManyPagesWaiting` for a tenant with too much waiting, `Overloaded` where all tenants together have,
        both with the seconds after which there may be room. A stale report refuses nothing; what the dispatcher has not
        taken over yet counts always, a page a job.
        """
        report = self.report()
        waiting = self._behind
        if report is not None:
            own = _waiting(report, tenant)
            if own > self._most_of_tenant:
                seconds = _seconds(own - self._most_of_tenant, report.pages_per_second * _share(report, tenant))
                raise TooManyPagesWaiting(
                    f"{own} pages of yours wait already; at most {self._most_of_tenant} may", retry_after=seconds
                )
            waiting += sum(report.interactive.waiting.values()) + sum(report.bulk.waiting.values())
        if waiting > self._most:
            speed = report.pages_per_second if report is not None else 0.0
            seconds = _seconds(waiting - self._most, speed)
            raise Overloaded("too many pages wait already; try again later", retry_after=seconds)

    def report(self) -> LoadReport | None:
        """What the dispatcher said last, unless that is stale."""
        report = self._load.report()
        return None if report is None or _stale(report) else report

    @property
    def known(self) -> bool:
        """Whether the load is known: no report is needed while nothing has waited for it for a while."""
        report = self._load.report()
        if report is not None and _stale(report):
            return False
        since = self._behind_since
        young = report is not None and _age(report) < STALE_SECONDS
        return young or since is None or time.monotonic() - since < STALE_SECONDS

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(DependencyDown):  # then what was measured before holds, and /readyz tells it
                self._behind = await asyncio.to_thread(self._lag.untaken)
                if self._behind == 0:
                    self._behind_since = None
                elif self._behind_since is None:
                    self._behind_since = time.monotonic()
            await asyncio.sleep(_MEASURE_SECONDS)


def _age(report: LoadReport) -> float:
    return (datetime.now(UTC) - report.at).total_seconds()


def _stale(report: LoadReport) -> bool:
    """An old report that nothing waits and nothing is in work is as good as a new one."""
    moves = report.in_work or any(report.interactive.waiting.values()) or any(report.bulk.waiting.values())
    return bool(moves) and _age(report) > STALE_SECONDS


def _waiting(report: LoadReport, tenant: str) -> int:
    return report.interactive.waiting.get(tenant, 0) + report.bulk.waiting.get(tenant, 0)


def _share(report: LoadReport, tenant: str) -> float:
    """The tenant's part of the machines while all others that wait now go on waiting."""
    tenants = {name for lane in (report.interactive, report.bulk) for name, pages in lane.waiting.items() if pages}
    weights = {name: report.weights.get(name, 1.0) for name in tenants}
    return weights[tenant] / sum(weights.values())


def _seconds(excess: int, speed: float) -> float:
    """When the excess is worked off; a fifth at random more, so that not all come back at once."""
    wait = excess / speed if speed > 0 else _UNKNOWN_SECONDS
    return min(max(wait * random.uniform(1, 1.2), 1.0), _LONGEST_SECONDS)  # noqa: S311 no secret

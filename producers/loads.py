"""What the dispatcher tells of its load: metrics for its own port, and `LoadReport` for doors and callers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client import Gauge

from producers.lengths import Lengths
from producers.window import Window
from schemas.control import LaneLoad, LoadReport
from schemas.envelope import Lane
from schemas.records import Outgoing
from schemas.topics import LOAD

WAITING = Gauge("headrace_dispatcher_waiting_pages", "Pages that wait to be released.", ["lane"])
OLDEST = Gauge("headrace_dispatcher_oldest_age_seconds", "Age of the job that waits longest.", ["lane"])
OF_TENANT = Gauge("headrace_dispatcher_tenant_waiting_pages", "Pages that wait, of those who wait most.", ["tenant"])
WEIGHT = Gauge("headrace_dispatcher_tenant_weight", "Weights that differ from 1.", ["tenant"])

SECONDS = 1.0
COST = 20
"""Counting takes the longer the more waits: it is done so seldom that it costs at most this part of the time."""
TENANTS = 20
"""Tenants whose waiting pages are a metric: those who wait most."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Pages waiting and documents not counted by lane and tenant; the age in seconds of each lane's oldest job."""

    pages: Mapping[Lane, Mapping[str, int]]
    oldest: Mapping[Lane, float]
    uncounted: Mapping[Lane, Mapping[str, int]]


class Load:
    """When to report, and what. `lengths` wants to be told of documents that were counted.

    `now` gives seconds that never jump.
    """

    def __init__(self, weights: Mapping[str, float], now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._weights = {tenant: weight for tenant, weight in weights.items() if weight != 1}
        self._due = 0.0
        self._moved = True
        self.lengths = Lengths()
        for tenant, weight in self._weights.items():
            WEIGHT.labels(tenant).set(weight)

    def due(self, *, moving: bool) -> bool:
        """Whether it is time: while something moves, and once after."""
        if self._now() < self._due or not (moving or self._moved):
            return False
        self._moved = moving
        return True

    def report(self, counts: Counts, in_work: int, window: Window, cost: float) -> Outgoing:
        """The record to publish; `cost` is how many seconds counting took."""
        self._due = self._now() + max(SECONDS, COST * cost)
        self._show(counts)
        unknown = {tenant for lane in counts.uncounted.values() for tenant in lane}
        report = LoadReport(
            at=datetime.now(UTC),
            interactive=_lane(counts, "interactive"),
            bulk=_lane(counts, "bulk"),
            in_work=in_work,
            window=window.size,
            pages_per_second=0.0 if window.doubling else window.rate,
            weights=self._weights,
            pages_per_document={tenant: self.lengths.of(tenant) for tenant in sorted(unknown)},
        )
        return Outgoing(LOAD.name, b"dispatcher", report.model_dump_json().encode())

    @staticmethod
    def _show(counts: Counts) -> None:
        tenants: dict[str, int] = {}
        for lane, waiting in counts.pages.items():
            WAITING.labels(lane).set(sum(waiting.values()))
            OLDEST.labels(lane).set(counts.oldest[lane])
            for tenant, pages in waiting.items():
                tenants[tenant] = tenants.get(tenant, 0) + pages
        OF_TENANT.clear()
        for tenant in sorted(tenants, key=lambda name: -tenants[name])[:TENANTS]:
            OF_TENANT.labels(tenant).set(tenants[tenant])


def _lane(counts: Counts, lane: Lane) -> LaneLoad:
    return LaneLoad(waiting=dict(counts.pages[lane]), uncounted=dict(counts.uncounted[lane]))

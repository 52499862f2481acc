"""What an API process measures, and what it reads of the groups' lag; names as `schemas.telemetry` lists them."""

import asyncio
import logging
import time
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from api.parts import LagReader
from schemas.errors import DependencyDown
from schemas.telemetry import Metric

log = logging.getLogger(__name__)
_FRESH = 5.0  # seconds a reading of the lag is served again
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ApiMetrics:
    """The metrics of one API process."""

    def __init__(self, lag: LagReader) -> None:
        seconds: Metric = "headrace_api_request_seconds"
        accepted: Metric = "headrace_api_accepted_total"
        behind: Metric = "headrace_group_lag_records"
        age: Metric = "headrace_group_oldest_age_seconds"
        streams: Metric = "headrace_api_streams"
        dead: Metric = "headrace_dead_letters_records"
        build: Metric = "headrace_build_info"
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Gauge(build, "Which release runs.", ("version",), registry=registry).labels(version("headrace-server")).set(1)
        self._seconds = Histogram(
            seconds, "Seconds of an HTTP request.", ("route", "status"), registry=registry, buckets=_BUCKETS
        )
        self._accepted = Counter(accepted, "Jobs accepted (202).", registry=registry)
        self.streams = Gauge(streams, "Event streams that are open now.", registry=registry)
        # A registry of their own: with the log down these are left out rather than shown stale.
        self._groups = groups = CollectorRegistry()
        self._behind = Gauge(behind, "Records not yet committed by the group.", ("group", "topic"), registry=groups)
        self._age = Gauge(age, "Age of the oldest of them in seconds.", ("group", "topic"), registry=groups)
        self._dead = Gauge(dead, "Records on the dead-letter topic.", registry=groups)
        self._lag = lag
        self._reading = asyncio.Lock()
        self._read_at = -_FRESH
        self._read_well = False

    def observe(self, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._seconds.labels(route, str(status)).observe(seconds)

    def accepted(self) -> None:
        """One job was accepted."""
        self._accepted.inc()

    async def render(self) -> bytes:
        """Everything in Prometheus' text format; without the groups' part while the log does not answer."""
        async with self._reading:  # the reader is one connection: two scrapes at once share one reading
            if time.monotonic() - self._read_at >= _FRESH:
                self._read_well = await self._refresh()
                self._read_at = time.monotonic()
        return generate_latest(self._registry) + (generate_latest(self._groups) if self._read_well else b"")

    async def _refresh(self) -> bool:
        try:
            rows = await asyncio.to_thread(self._lag.read)
            dead = await asyncio.to_thread(self._lag.dead_letters)
        except DependencyDown as error:
            log.warning("no lag: %s", error.detail)
            return False
        for row in rows:
            self._behind.labels(row.group, row.topic).set(row.lag)
            self._age.labels(row.group, row.topic).set(row.oldest_age_seconds)
        self._dead.set(dead)
        return True

"""Bells for everybody in the process who waits until something new was written of a job."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sinks.postgres.bell import Bell


class JobListener(Bell):
    """Rings the bells of a job when PostgreSQL notifies of it, and all bells whenever it begins to listen (again).

    Whoever waits clears the bell, reads, then waits for it: so what is written at any time is read, and what was
    written while nobody listened as well. While `listening` is False no bell rings, and waiting needs a clock.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, {"headrace_jobs": self._ring}, "headrace-listener")
        self._bells: dict[str, set[asyncio.Event]] = {}

    @property
    def watched(self) -> int:
        """Jobs that somebody waits for."""
        return len(self._bells)

    @contextmanager
    def watch(self, job: str) -> Iterator[asyncio.Event]:
        """A bell that rings for this job until the block ends."""
        bell = asyncio.Event()
        self._bells.setdefault(job, set()).add(bell)
        try:
            yield bell
        finally:
            bells = self._bells[job]
            bells.discard(bell)
            if not bells:
                del self._bells[job]

    def _ring(self, job: str | None) -> None:
        """Of a job, or of all."""
        for bells in self._bells.values() if job is None else (self._bells.get(job, ()),):
            for bell in bells:
                bell.set()

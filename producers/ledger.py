"""Which pages are in work, as the database tells of their jobs. Pure.

Pages may be lost to us: retention took their records, or a step lost them by a fault of ours. They must not hold the
window until their job's deadline. So pages whose job came no further while many times the window passed them by are in
work no more; and where nothing at all settles, a few pages more may go now and then, to find out which it is.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from producers.window import FLOOR
from schemas.envelope import Lane

PATIENCE_SECONDS = 60.0
PASSED_BY = 16
"""Windows that settle before what did not is taken for lost: bulk has an eighth of them at worst."""


@dataclass(frozen=True, slots=True)
class Working:
    """A job with pages released and not all settled; pages are `released` by lane. `total` None: not counted yet."""

    job: str
    run: int
    tenant: str
    released: Mapping[Lane, int]
    total: int | None
    settled: int
    ended: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """A job when it last came further: pages settled and released, the time, and the pages of all settled by then."""

    settled: int
    released: int
    at: float
    of_all: int


class Ledger:
    """Fed with every job in work; nothing is kept of a job that ended."""

    def __init__(self) -> None:
        self.held: dict[tuple[Lane, str], int] = {}
        """Pages in work."""
        self.settled = 0
        """Pages that came to their fate between the last two calls."""
        self.extra = 0
        """Pages that may be in work beyond the window, as nothing comes back of what is."""
        self._of_all = 0
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._records: deque[tuple[float, Lane, str]] = deque()
        self._moved: float | None = None
        self._probed = 0.0

    def take(self, working: Sequence[Working], now: float, window: int) -> None:
        """The present state of all jobs in work."""
        before, self._seen = self._seen, {}
        self.settled = sum(_since(before.get((job.job, job.run)), job) for job in working)
        self._of_all += self.settled
        self.held = {}
        waits_long = False
        for job in working:
            if job.ended:
                continue
            seen = self._seen[job.job, job.run] = self._see(before.get((job.job, job.run)), job, now)
            if now - seen.at < PATIENCE_SECONDS or self._of_all - seen.of_all < PASSED_BY * window:
                waits_long = waits_long or seen.at < self._probed
                self._count(job)
        while self._records and self._records[0][0] <= now:
            self._records.popleft()
        for _, lane, tenant in self._records:
            self._hold(lane, tenant, 1)
        self._probe(now, window, waits_long=waits_long)

    def lend(self, until: float, lane: Lane, tenant: str) -> None:
        """A single record, whose page nobody follows to its fate: it counts as in work for as long as a page takes."""
        self._records.append((until, lane, tenant))

    def _see(self, before: _Seen | None, job: Working, now: float) -> _Seen:
        seen = _Seen(_settled(job), sum(job.released.values()), now, self._of_all)
        if before is not None and (before.settled, before.released) == (seen.settled, seen.released):
            return before
        return seen

    def _probe(self, now: float, window: int, *, waits_long: bool) -> None:
        if not waits_long:
            self.extra = 0
        if self._moved is None or self.settled or not self.held:
            self._moved = now
        elif now - self._moved >= PATIENCE_SECONDS:
            self._moved = self._probed = now
            self.extra = min(self.extra + FLOOR, window)

    def _count(self, job: Working) -> None:
        released, done = sum(job.released.values()), _settled(job)
        beyond = 0 if job.total is None else max(0, released - job.total)
        bulk = max(0, job.released["bulk"] - beyond)
        interactive = max(0, min(released, job.total or released) - bulk)
        self._hold("interactive", job.tenant, max(0, interactive - done))
        self._hold("bulk", job.tenant, bulk - max(0, done - interactive))

    def _hold(self, lane: Lane, tenant: str, pages: int) -> None:
        if pages > 0:
            self.held[lane, tenant] = self.held.get((lane, tenant), 0) + pages


def _since(before: _Seen | None, job: Working) -> int:
    return max(0, _settled(job) - (0 if before is None else before.settled))


def _settled(job: Working) -> int:
    return min(job.settled, sum(job.released.values()))

"""When to stop trying again: a budget for retries, and a breaker where one failure follows another.

Both are for a dependency that is ill without saying so: a retry of each record would double its load, and the third
failure of each would be a dead letter.
"""

from collections import deque

_SLICES = 10  # the window moves on by a tenth of itself


class Budget:
    """Retries are at most `share` of the records of the last `seconds`, or `least` where that is more."""

    def __init__(self, seconds: float = 60.0, share: float = 0.1, least: int = 10) -> None:
        self._slice = seconds / _SLICES
        self._share = share
        self._least = least
        self._counts: deque[tuple[int, int, int]] = deque()
        """Number of the slice, records, retries."""

    def count(self, now: float) -> None:
        """A record is tried for the first time, at `now` (monotonic seconds)."""
        self._add(now, 1, 0)

    def spend(self, now: float) -> bool:
        """Whether a retry is within the budget; if so, it is taken from it."""
        self._add(now, 0, 0)
        records, retries = (sum(counts[place] for counts in self._counts) for place in (1, 2))
        if retries >= max(self._least, self._share * records):
            return False
        self._add(now, 0, 1)
        return True

    def _add(self, now: float, records: int, retries: int) -> None:
        number = int(now / self._slice)
        while self._counts and self._counts[0][0] <= number - _SLICES:
            self._counts.popleft()
        if self._counts and self._counts[-1][0] == number:
            _, before, spent = self._counts.pop()
            records, retries = records + before, retries + spent
        self._counts.append((number, records, retries))


class Breaker:
    """Open after `limit` different records failed in a row of one cause, until one succeeds."""

    def __init__(self, limit: int = 5) -> None:
        self._limit = limit
        self._cause = ""
        self._failed: set[str] = set()
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether one record at a time is tried, and none given up."""
        return self._open

    def failed(self, record: str, cause: str) -> None:
        """A record failed."""
        if cause != self._cause:
            self._cause = cause
            self._failed.clear()
        self._failed.add(record)
        self._open = self._open or len(self._failed) >= self._limit

    def trip(self) -> None:
        """Open at once: the budget is spent."""
        self._open = True

    def succeeded(self) -> None:
        """A record succeeded: close."""
        self._failed.clear()
        self._open = False

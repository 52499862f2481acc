"""The window: how many pages may be in work at once, so that every worker is busy and no queue stands before it. Pure.

By Little's law pages in work over pages per second is the time that a page takes. While that stays near the least that
was seen lately, nobody queues, and the window grows; where it rises, the rest is queueing, and the window shrinks.
"""

import math
from collections import deque

FLOOR = 4
MOST = 4096
SECONDS_QUEUED = (0.05, 2.0)
"""The least and the most that a page may queue at the steps, on the average; between them, half of what it takes."""
_SHARE_QUEUED = 0.5
_PAGES, _LEAST_SECONDS, _MOST_SECONDS = 16, 0.5, 4.0
_MEMORY_SECONDS = 90.0
_DIP_SECONDS = 30.0
_RATE_SECONDS = 4.0  # what is told of the speed forgets within about so long


class Window:
    """Fed with what is in work and what came to its fate; `now` is any clock in seconds that only rises."""

    def __init__(self, now: float) -> None:
        self._size = float(FLOOR)
        self._last = self._began = now
        self._area = 0.0
        self._settled = 0
        self._full = False
        self._starting = True
        self._sojourns: deque[tuple[float, float]] = deque()
        self._dipped = now
        self._dips = False
        self.rate = 0.0
        """Pages per second that came to their fate lately, 0 while none did."""
        self._unsteady = 0

    @property
    def size(self) -> int:
        """Pages that may be in work. Now and then it halves for a moment, to learn what a page takes unqueued."""
        return max(FLOOR, int(self._size / 2 if self._dips else self._size))

    @property
    def doubling(self) -> bool:
        """Whether the window was doubled just now: what comes will be faster than what was, nobody knows how much."""
        return self._unsteady > 0

    @property
    def sojourn(self) -> float:
        """Seconds that a page took from its release to its fate, as last measured; 0 before."""
        return self._sojourns[-1][1] if self._sojourns else 0.0

    def observe(self, now: float, in_work: int, settled: int, *, full: bool) -> None:
        """Pages in work since the last call, how many of them came to their fate, and whether more would go to work."""
        self._area += in_work * (now - self._last)
        self._last = now
        self._settled += settled
        self._full = self._full or full
        lasted = now - self._began
        enough = self._settled >= _PAGES and lasted >= max(_LEAST_SECONDS, min(self.sojourn, _MOST_SECONDS))
        if enough or (lasted >= _MOST_SECONDS and self._settled >= 2) or lasted >= 5 * _MOST_SECONDS:
            self._conclude(now, lasted)

    def _conclude(self, now: float, lasted: float) -> None:
        rate = self._settled / lasted
        smoothed = self.rate + (rate - self.rate) * (1 - math.exp(-lasted / _RATE_SECONDS))
        self.rate = smoothed if self.rate and rate and not self.doubling else rate
        self._unsteady = max(0, self._unsteady - 1)
        if self._settled:
            sojourn = self._area / self._settled
            self._sojourns.append((now, sojourn))
            while self._sojourns[0][0] < now - _MEMORY_SECONDS:
                self._sojourns.popleft()
            if self._full and not self._dips:
                self._adapt(sojourn)
        self._dips = not self._dips and self._full and now - self._dipped >= _DIP_SECONDS
        if self._dips or not self._full:
            self._dipped = now
        self._began, self._area, self._settled, self._full = now, 0.0, 0, False

    def _adapt(self, sojourn: float) -> None:
        least = min(seconds for _, seconds in self._sojourns)
        low, high = SECONDS_QUEUED
        target = least + min(high, max(low, _SHARE_QUEUED * least))
        if sojourn <= target:
            self._unsteady = 2 if self._starting and self._size < MOST else self._unsteady
            self._size = min(float(MOST), self._size * 2 if self._starting else self._size + math.ceil(self._size / 10))
        else:
            self._starting = False
            self._size = max(float(FLOOR), self._size * max(0.5, target / sojourn))

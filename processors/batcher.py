"""The work-conserving batcher: an idle engine gets at once what there is; batches grow only while it is busy."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """A bounded queue that is taken from in batches, with records that come back later.

    `capacity` bounds what waits in it (records put back by `later` count as well), so a feeder that awaits `put` is
    the whole of backpressure.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ready: deque[T] = deque()
        self._later: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready) + len(self._later)

    async def put(self, item: T) -> None:
        """Wait for room, then add."""
        while len(self) >= self._capacity:
            self._room.clear()
            await self._room.wait()
        self._ready.append(item)
        self._changed.set()

    def room(self) -> int:
        """How many items may be added without waiting."""
        return max(0, self._capacity - len(self))

    def again(self, items: Iterable[T]) -> None:
        """Put items back at the front, in their order."""
        self._ready.extendleft(reversed(list(items)))
        self._changed.set()

    def behind(self, items: Iterable[T]) -> None:
        """Put items back at the end."""
        self._ready.extend(items)
        self._changed.set()

    def later(self, item: T, seconds: float) -> None:
        """Put an item back after some time."""
        due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._later, (due, next(self._order), item))
        self._changed.set()

    @property
    def closed(self) -> bool:
        """Whether nothing is given out any more."""
        return self._closed

    async def take(self, limit: int) -> list[T]:
        """Up to `limit` items as soon as there is one; nothing once closed."""
        while not self._closed:
            wait = self._ripen()
            if self._ready:
                batch = [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
                self._room.set()
                return batch
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return []

    def drop(self, unwanted: Callable[[T], bool]) -> None:
        """Forget items (their partition was revoked)."""
        self._ready = deque(item for item in self._ready if not unwanted(item))
        self._later = [entry for entry in self._later if not unwanted(entry[2])]
        heapq.heapify(self._later)
        self._room.set()

    def close(self) -> None:
        """Let `take` return nothing from now on."""
        self._closed = True
        self._changed.set()

    def _ripen(self) -> float | None:
        """Move due items to the front; seconds to the next one, None without any."""
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        return self._later[0][0] - now if self._later else None

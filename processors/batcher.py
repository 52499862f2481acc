"""The work-conserving batcher: an idle engine gets at once what there is; batches grow only while it is busy."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

BULK_EVERY = 8
"""After so many batches less one that held none of it, a batch begins with what is not of the first class."""


class Batcher(Generic[T]):
    """A bounded queue that is taken from in batches, with records that come back later.

    `first` says which items are of the first class: they are taken before all others, and each class has room of its
    own, so that a full one never holds up the other. `capacity` bounds what waits of each (records put back by `later`
    count as well), so a feeder that awaits `put` is the whole of backpressure.
    """

    def __init__(self, capacity: int, first: Callable[[T], bool] = lambda _: False) -> None:
        self._capacity = capacity
        self._first = first
        self._ready: dict[bool, deque[T]] = {True: deque(), False: deque()}
        self._later: list[tuple[float, int, T]] = []
        self._order = itertools.count()
        self._passed_over = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False

    def __len__(self) -> int:
        return sum(map(len, self._ready.values())) + len(self._later)

    async def put(self, item: T) -> None:
        """Wait for room, then add."""
        first = self._first(item)
        await self.has_room(first=first)
        self._ready[first].append(item)
        self._changed.set()

    def room(self, *, first: bool = False) -> int:
        """How many items of a class may be added without waiting."""
        delayed = sum(self._first(item) == first for _, _, item in self._later)
        return max(0, self._capacity - len(self._ready[first]) - delayed)

    async def has_room(self, *, first: bool = False) -> None:
        """Wait until an item of a class may be added."""
        while not self.room(first=first):
            self._room.clear()
            await self._room.wait()

    def again(self, items: Iterable[T]) -> None:
        """Put items back at the front, in their order."""
        for item in reversed(list(items)):
            self._ready[self._first(item)].appendleft(item)
        self._changed.set()

    def behind(self, items: Iterable[T]) -> None:
        """Put items back at the end."""
        for item in items:
            self._ready[self._first(item)].append(item)
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
            if batch := self._batch(limit):
                self._room.set()
                return batch
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return []

    def _batch(self, limit: int) -> list[T]:
        order = (True, False) if self._passed_over < BULK_EVERY - 1 else (False, True)
        bulk, batch = self._ready[False], list[T]()
        waited = len(bulk)
        for first in order:
            items = self._ready[first]
            batch += [items.popleft() for _ in range(min(limit - len(batch), len(items)))]
        self._passed_over = self._passed_over + 1 if batch and 0 < waited == len(bulk) else 0
        return batch

    def drop(self, unwanted: Callable[[T], bool]) -> None:
        """Forget items (their partition was revoked)."""
        self._ready = {
            first: deque(item for item in items if not unwanted(item)) for first, items in self._ready.items()
        }
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
            item = heapq.heappop(self._later)[2]
            self._ready[self._first(item)].appendleft(item)
        return self._later[0][0] - now if self._later else None

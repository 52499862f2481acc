"""What callers use, counted in this process.

Sliding windows of two counters, by the arithmetic of the library `limits`, which counts in Redis for all processes
together. Its own storage in memory looks through every counter at each count, in a task of its own: with ten thousand
callers most of a request's time.
"""

import time
from collections.abc import Sequence

from api.auth.policies import Policy, Spent, Use, used

_FEW = 1024


class _Counter:
    """What was used in window `number` since 1970, and in the one before it."""

    __slots__ = ("before", "now", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.before = self.now = 0

    def move(self, number: int) -> None:
        if number != self.number:
            self.before = self.now if number == self.number + 1 else 0
            self.now, self.number = 0, number


class Windows:
    """The counters of one process. Those that count no longer are forgotten, before there are twice as many."""

    def __init__(self) -> None:
        self._counters: dict[tuple[tuple[str, ...], int], _Counter] = {}
        self._most = _FEW

    def __len__(self) -> int:
        return len(self._counters)

    def spend(self, policies: Sequence[Policy], amount: int) -> Spent:
        """Count `amount` in every policy, or in none where one has no room for it."""
        now = time.time()
        asked = [(policy, self._counter(policy, now), policy.span - now % policy.span) for policy in policies]
        full = [
            number
            for number, (policy, counter, left) in enumerate(asked)
            if used(counter.before, left, counter.now, policy.span) + policy.cost(amount) > policy.amount
        ]
        if not full:
            for policy, counter, _ in asked:
                counter.now += policy.cost(amount)
        uses = [
            Use(policy, counter.before, left if counter.before else 0.0, counter.now, left + policy.span)
            for policy, counter, left in asked
        ]
        return Spent.refused(uses, uses[full[0]], amount) if full else Spent(uses, None)

    def _counter(self, policy: Policy, now: float) -> _Counter:
        name, number = (policy.whose, policy.span), int(now // policy.span)
        counter = self._counters.get(name)
        if counter is None:
            self._make_room(now)
            counter = self._counters[name] = _Counter(number)
        counter.move(number)
        return counter

    def _make_room(self, now: float) -> None:
        if len(self._counters) >= self._most:
            counting = {name: each for name, each in self._counters.items() if each.number >= now // name[1] - 1}
            self._counters, self._most = counting, max(_FEW, 2 * len(counting))

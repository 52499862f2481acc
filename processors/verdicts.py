"""What becomes of a record that failed, in the light of what failed before it, here and in earlier lives."""

import random
from collections.abc import Callable

from processors.breaker import Breaker, Budget
from processors.outcomes import attempt_of, outcome_of
from schemas.errors import HeadraceError, InputError
from schemas.records import Hold, Outcome, Record, Retry


class Verdicts:
    """The failures of one loop. `now` gives seconds since 1970, `monotonic` seconds that never jump."""

    def __init__(
        self, step: str, now: Callable[[], float], monotonic: Callable[[], float], dice: random.Random
    ) -> None:
        self._step = step
        self._now = now
        self._monotonic = monotonic
        self._dice = dice
        self._failures: dict[str, int] = {}
        self._budget = Budget()
        self._breaker = Breaker()

    @property
    def holds(self) -> bool:
        """Whether the breaker is open: one record at a time is tried, and none given up."""
        return self._breaker.is_open

    def begun(self, record: Record) -> None:
        """The record is about to be tried."""
        if not self._failures or str(record) not in self._failures:
            self._budget.count(self._monotonic())

    def succeeded(self) -> None:
        """A record was handled."""
        self._breaker.succeeded()

    def of(self, record: Record, error: Exception) -> Outcome:
        """The outcome of a failure. A failure while the breaker is open, or that opens it, is held against nobody."""
        failures = self._failures.get(str(record), 0) + 1
        attempt = attempt_of(record) + failures - 1
        outcome = outcome_of(record, self._step, error, attempt=attempt, dice=self._dice, now=self._now())
        if isinstance(error, HeadraceError) and error.fate != "retry":
            if isinstance(error, InputError):  # the step did come to a verdict
                self._breaker.succeeded()
            return outcome
        cause = type(error).__name__
        self._breaker.failed(str(record), cause)
        if not self.holds and isinstance(outcome, Retry) and not self._budget.spend(self._monotonic()):
            self._breaker.trip()
        if self.holds:
            return self.held(cause)
        if isinstance(outcome, Retry):
            self._failures[str(record)] = failures
        return outcome

    def held(self, cause: str) -> Hold:
        """The outcome of a record that is not tried, or not counted, while the breaker is open."""
        return Hold(f"{self._step} fails again and again ({cause}); one record at a time is tried", behind=True)

    def poisonous(self, record: Record, error: HeadraceError, deaths: int) -> Outcome:
        """The outcome of a record whose handling ended `deaths` processes."""
        return outcome_of(record, self._step, error, attempt=deaths, dice=self._dice, now=self._now())

    def settled(self, record: Record) -> None:
        """The record came to its fate."""
        self._failures.pop(str(record), None)

    def forget(self) -> None:
        """Partitions went: what comes back is another's count."""
        self._failures.clear()

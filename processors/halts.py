"""Halting a step whose records go wrong: a fault of ours must not turn a backlog into dead letters."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from schemas.control import StepOrder


class StepOrders(Protocol):
    """Standing orders about steps, as every worker sees them."""

    def order(self, step: str) -> StepOrder | None:
        """The newest order about the step."""
        ...


@dataclass(frozen=True, slots=True)
class HaltLimits:
    """Of the last `window` outcomes, at least `least`, more than `share` are dead letters: then the step halts."""

    window: int = 100
    share: float = 0.25
    least: int = 20


class Halts:
    """Whether one worker's step is halted, and whether what this worker sees should halt it."""

    def __init__(self, step: str, slot: str, orders: StepOrders, limits: HaltLimits, now: Callable[[], float]) -> None:
        self._step = step
        self._slot = slot
        self._orders = orders
        self._limits = limits
        self._now = now
        self._outcomes: deque[bool] = deque(maxlen=limits.window)
        self._own: StepOrder | None = None
        self._before: StepOrder | None = None

    def standing(self) -> StepOrder | None:
        """The order by which the step is halted. Ours holds from the moment it is made until the log has shown it."""
        seen = self._orders.order(self._step)
        if self._own is not None:
            if seen == self._before:
                return self._own
            self._own = None
        if seen is None or not seen.halted:
            return None
        self._outcomes.clear()  # when the order is lifted, what was before it says nothing any more
        return seen

    def count(self, *, bad: bool) -> StepOrder | None:
        """One more outcome; the order to publish where it was one dead letter too many."""
        self._outcomes.append(bad)
        total, wrong = len(self._outcomes), sum(self._outcomes)
        if total < self._limits.least or wrong <= self._limits.share * total or self.standing() is not None:
            return None
        self._before = self._orders.order(self._step)
        reason = f"{wrong} of the last {total} records at {self._slot} became dead letters"
        at = datetime.fromtimestamp(self._now(), UTC)
        self._own = StepOrder(step=self._step, halted=True, reason=reason, by=self._slot, at=at)
        self._outcomes.clear()
        return self._own

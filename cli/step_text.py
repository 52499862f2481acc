"""Steps as text."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel

from cli.listing import Listing, ago
from schemas.control import StepOrder


class StepState(BaseModel):
    """A step or sink: whether an order halts it, and how many records wait for it; null where its group has none."""

    step: str
    state: str
    since: AwareDatetime | None
    by: str | None
    reason: str | None
    lag: int | None


def state_of(step: str, order: StepOrder | None, lag: int | None) -> StepState:
    """What is known of a step."""
    if order is None or not order.halted:
        return StepState(step=step, state="running", since=None, by=None, reason=None, lag=lag)
    since: datetime = order.at.replace(microsecond=0)
    return StepState(step=step, state="halted", since=since, by=order.by, reason=order.reason, lag=lag)


def _row(step: StepState) -> list[str]:
    lag = "-" if step.lag is None else str(step.lag)
    return [step.step, step.state, lag, ago(step.since), step.by or "-", step.reason or "-"]


def _fields(step: StepState) -> list[object]:
    return [step.step, step.state, step.since, step.by, step.reason, step.lag]


LISTING: Listing[StepState] = Listing(
    ("step", "state", "waiting", "since", "by", "reason"), _row, _fields, frozenset({"reason"})
)

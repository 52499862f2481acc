"""What lies on the compacted topics: standing orders, marks of attempts that ended a process, the load."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict


class ControlEntry(BaseModel):
    """A standing order about a job, keyed by it: runs up to `run` are to be cancelled. Lapses after `until`."""

    model_config = ConfigDict(frozen=True)

    action: Literal["cancel"]
    run: int = 1
    until: AwareDatetime | None = None


class StepOrder(BaseModel):
    """A standing order about a step or sink, keyed `step:NAME`: while it is halted, its workers take up nothing.

    `by`: the worker's slot that tripped over its limit of dead letters, or who gave the order.
    """

    model_config = ConfigDict(frozen=True)

    step: str
    halted: bool
    reason: str = ""
    by: str = ""
    at: AwareDatetime


class LaneLoad(BaseModel):
    """A lane's queue: pages that wait to be released, by tenant (a document not counted yet is one page).

    `uncounted`: documents whose pages nobody has counted yet, by tenant.
    """

    model_config = ConfigDict(frozen=True)

    waiting: dict[str, int] = {}
    uncounted: dict[str, int] = {}


class LoadReport(BaseModel):
    """What the dispatcher sees, once a second while something moves: the base of backpressure and of ETAs.

    `in_work`: pages released and not come to their fate; `window`: how many of them there may be; `pages_per_second`:
    what came to its fate lately, 0 while nothing did or it is about to rise by far. `weights` are those that differ
    from 1. `pages_per_document`: of each tenant with documents that are not counted, how many pages those have that
    were counted last, on the average.
    """

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    interactive: LaneLoad = LaneLoad()
    bulk: LaneLoad = LaneLoad()
    in_work: int = 0
    window: int = 0
    pages_per_second: float = 0
    weights: dict[str, float] = {}
    pages_per_document: dict[str, float] = {}


def step_key(step: str) -> bytes:
    """The key of a step's order on `headrace.control`."""
    return f"step:{step}".encode()


def plan_key(plan: str) -> bytes:
    """The key of a plan on `headrace.control`."""
    return f"plan:{plan}".encode()


class AttemptsMarked(BaseModel):
    """How often a record was begun alone after an unclean end, written before each such begin."""

    model_config = ConfigDict(frozen=True)

    count: int

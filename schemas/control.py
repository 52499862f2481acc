"""What lies on the two compacted topics: standing orders, and marks of attempts that ended a process."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict


class ControlEntry(BaseModel):
    """A standing order about a job, keyed by it: runs up to `run` are to be cancelled. Lapses after `until`."""

    model_config = ConfigDict(frozen=True)

    action: Literal["cancel"]
    run: int = 1
    until: AwareDatetime | None = None


class AttemptsMarked(BaseModel):
    """How often a record was begun alone after an unclean end, written before each such begin."""

    model_config = ConfigDict(frozen=True)

    count: int

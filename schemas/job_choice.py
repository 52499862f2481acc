"""Which jobs an order is about: named, or by what they have in common."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from schemas.envelope import Lane
from schemas.jobs import JobState
from schemas.labels import MOST_TAGS, Tag

MOST_AT_ONCE = 1000
"""Jobs of one order."""


class JobFilter(BaseModel):
    """What jobs have in common, as lists of jobs take it; `since` and `until` are of their acceptance."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: tuple[JobState, ...] = ()
    document_id: str | None = Field(default=None, max_length=256)
    lane: Lane | None = None
    tag: Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS)] = ()
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class ChosenJobs(BaseModel):
    """Jobs by id, by what they have in common, or all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=MOST_AT_ONCE)
    where: JobFilter | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.jobs) + (self.where is not None) + bool(self.all) != 1:
            raise ValueError("give either `jobs`, or `where`, or `all`")
        return self


class JobsTaken(BaseModel):
    """An order was accepted: about how many jobs. `more`: there are others that it would fit; send it again."""

    taken: int
    more: bool = False

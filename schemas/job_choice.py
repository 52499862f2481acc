"""Which jobs an order is about: named, or by what they have in common."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.given import NO_CONTROLS, OnlyTrue
from schemas.jobs import JobFilter

MOST_AT_ONCE = 1000
"""Jobs of one order."""


class ChosenJobs(BaseModel):
    """Jobs by id, by what they have in common (`since` and `until` are of their acceptance), or all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: tuple[Annotated[str, Field(max_length=64), NO_CONTROLS], ...] = Field(default=(), max_length=MOST_AT_ONCE)
    where: JobFilter | None = None
    all: OnlyTrue | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.jobs) + (self.where is not None) + bool(self.all) != 1:
            raise ValueError("give either `jobs`, or `where`, or `all`")
        return self


class JobsTaken(BaseModel):
    """An order was accepted: about how many jobs. `more`: there are others that it would fit; send it again."""

    taken: int
    more: bool = False

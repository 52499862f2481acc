"""What a caller is told of the attempts of a job's steps."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from schemas.paging import PageQuery


class StepAttempt(BaseModel):
    """One attempt of a step."""

    step: str
    attempt: int = Field(description="Counts from 1 within the run; an attempt that ended its process counts too.")
    state: Literal["succeeded", "retried", "failed", "skipped"] = Field(
        description="`retried`: it failed, and the step was tried again."
    )
    code: str | None = Field(default=None, description="Why it did not succeed.")
    started_at: AwareDatetime
    finished_at: AwareDatetime
    queued_seconds: float = Field(description="How long the page had waited for it.")
    run_seconds: float = Field(description="How long it took: of a step that takes several pages at once, all of them.")


class PartTimeline(BaseModel):
    """What a page went through in one of the job's runs; the document as a whole where `page` is null."""

    page: int | None = None
    run: int
    attempts: list[StepAttempt]


class TimelineQuery(PageQuery):
    """Which part of a timeline is wanted."""

    page: int | None = Field(default=None, ge=1, le=2**31 - 1, description="Of this page alone.")
    limit: int = Field(default=20, ge=1, le=100, description="How many pages at most, each run of one counted.")


class JobTimeline(BaseModel):
    """`GET /v1/jobs/{id}/timeline`: document first, then page by page, run by run. `next` as in other lists."""

    data: list[PartTimeline]
    has_more: bool
    next: str | None = None

"""What a caller does about a job that was accepted: stop it, or run it again."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from api import job_orders
from api.auth.doors import JobsWrite
from api.errors import InvalidRequest, declare
from api.json_route import JsonRoute
from api.parts import Parts, PartsOf
from api.v1.jobs import view_of
from schemas import plans
from schemas.errors import (
    DependencyDown,
    Gone,
    JobEnded,
    LogUnavailable,
    NotFound,
    NothingStored,
    NothingToRetry,
    Overloaded,
    TooManyPagesWaiting,
)
from schemas.job_choice import ChosenJobs, JobsTaken
from schemas.jobs import TERMINAL, TRANSITIONS, JobState, JobView
from schemas.pages import prepared_key
from schemas.ports import Submission

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=JsonRoute)
From = Annotated[Literal["prepare", "ocr", "chunk"], Query(alias="from", description="The step to go on from.")]


@router.post("/cancel", status_code=202, responses=declare(NotFound, InvalidRequest, LogUnavailable, DependencyDown))
async def bulk_cancel(chosen: ChosenJobs, who: JobsWrite, parts: PartsOf) -> JobsTaken:
    """Order that jobs be stopped that have not ended, of those chosen the oldest thousand; others are passed over."""
    return await job_orders.cancelled(chosen, who.tenant, parts)


@router.post(
    "/retry",
    status_code=202,
    responses=declare(NotFound, InvalidRequest, TooManyPagesWaiting, LogUnavailable, DependencyDown, Overloaded),
)
async def bulk_retry(request: Request, chosen: ChosenJobs, who: JobsWrite, parts: PartsOf) -> JobsTaken:
    """Run jobs once more that ended without success, of those chosen the oldest thousand; others are passed over.

    Each is run as by `/v1/jobs/{job}/retry`: whole, as run + 1 with a fresh deadline.
    """
    request.app.state.admission.check(who.tenant)
    return await job_orders.retried(chosen, who.tenant, parts)


@router.post(
    "/{job}/cancel",
    status_code=202,
    responses=declare(NotFound, JobEnded, Gone, LogUnavailable, DependencyDown),
)
async def cancel(job: str, who: JobsWrite, parts: PartsOf) -> JobView:
    """Order that the job's present run be stopped; what was read until then stays. Asking again changes nothing.

    Needs no PostgreSQL: without it the order is for the first run, and the answer shows the job as it was accepted.
    """
    issued = parts.ids.check(job, who.tenant)
    view, known = JobView(id=job, state=JobState.QUEUED, created_at=issued), None
    with suppress(DependencyDown):
        view = await view_of(job, who.tenant, parts, issued)
        known = await parts.jobs.submission(who.tenant, job)
    if view.state in TERMINAL:
        raise JobEnded
    await parts.publisher.publish(job_orders.cancellation(job, who.tenant, view.run, view.deadline, known))
    return view.model_copy(update={"cancelling": True})


@router.post(
    "/{job}/retry",
    status_code=202,
    responses=declare(
        NotFound,
        NothingToRetry,
        NothingStored,
        Gone,
        InvalidRequest,
        TooManyPagesWaiting,
        LogUnavailable,
        DependencyDown,
        Overloaded,
    ),
)
async def retry(request: Request, job: str, who: JobsWrite, parts: PartsOf, step: From = "prepare") -> JobView:
    """Run a job that ended without success once more, as run + 1 with a fresh deadline: all of it, or `from` a step.

    From a later step than `prepare` only those pages are worked on again that did not succeed, with what earlier steps
    stored of them; one of which the step's input was never made goes on from the nearest that is stored. Callers who
    ask at the same time get one and the same run.
    """
    issued = parts.ids.check(job, who.tenant)
    view = await view_of(job, who.tenant, parts, issued)
    known = await parts.jobs.submission(who.tenant, job)
    if known is None:
        raise NothingToRetry
    if known.deleted:
        raise Gone("the job's document was deleted")
    if JobState.QUEUED not in TRANSITIONS[known.state]:
        raise NothingToRetry
    if known.plan not in plans.PLANS:
        raise NothingToRetry("the job's plan is not known to this release; submit the document again")
    request.app.state.admission.check(who.tenant)
    if step == "prepare":
        record = job_orders.again(job, who.tenant, known, timedelta(hours=parts.settings.deadline_hours))
    else:
        await _require_stored(view, who.tenant, parts, known)
        record = job_orders.resumed(step, job, who.tenant, known)
    await parts.publisher.publish([record])
    fresh = JobView(id=job, state=JobState.QUEUED, run=known.run + 1)
    kept = {"document_id", "revision", "pipeline", "filename", "created_at", "projected_through"}
    return fresh.model_copy(update=view.model_dump(include=kept))


async def _require_stored(view: JobView, tenant: str, parts: Parts, known: Submission) -> None:
    """Raise `NothingStored` unless a page that did not succeed has left something to go on from."""
    if known.prepared is None:
        raise NothingStored(
            "the document's pages were not counted, or it was stopped as a whole; retry the job without `from`"
        )
    for page in (page.page for page in view.pages if page.state != "indexed"):
        key = prepared_key(tenant, view.id, known.prepared, page)
        if await asyncio.to_thread(parts.blobs.find, key) or await parts.jobs.page(tenant, view.id, page):
            return
    raise NothingStored

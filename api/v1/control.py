"""What a caller does about a job that was accepted: stop it, or run it again."""

import asyncio
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from api.auth.doors import JobsWrite
from api.errors import InvalidRequest, declare
from api.parts import Parts, PartsOf
from api.v1.jobs import view_of
from schemas import plans, topics
from schemas.codec import encode, submission_id
from schemas.control import ControlEntry
from schemas.documents import CancelRequested, JobSubmitted, ResumeRequested
from schemas.envelope import NAMESPACE, Envelope, new_trace
from schemas.errors import (
    Conflict,
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
from schemas.jobs import TERMINAL, TRANSITIONS, JobState, JobView
from schemas.pages import prepared_key
from schemas.ports import Submission
from schemas.records import Outgoing

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
From = Annotated[Literal["prepare", "ocr", "chunk"], Query(alias="from", description="The step to go on from.")]
_ORDER_STANDS = timedelta(days=1)


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
    now = datetime.now(UTC)
    entry = ControlEntry(action="cancel", run=view.run, until=max(now + _ORDER_STANDS, view.deadline or now))
    records = [Outgoing(topics.CONTROL.name, job.encode(), entry.model_dump_json().encode())]
    # An event must name the job's document, which nobody here knows before the job is projected. The order suffices.
    if known is not None:
        requested = uuid.uuid5(NAMESPACE, f"{job}|cancel|{view.run}")
        envelope = _envelope(requested, CancelRequested.kind(), job, who.tenant, known, view.run)
        records.append(encode(topics.EVENTS.name, envelope, CancelRequested()))
    await parts.publisher.publish(records)
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
        record = _again(job, who.tenant, known, timedelta(hours=parts.settings.deadline_hours))
    else:
        await _require_stored(view, who.tenant, parts, known)
        record = _resumed(step, job, who.tenant, known)
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


def _resumed(step: Literal["ocr", "chunk"], job: str, tenant: str, known: Submission) -> Outgoing:
    """The order to go on from a step: one id for a run, whoever asks and from wherever."""
    run = known.run + 1
    asked = uuid.uuid5(NAMESPACE, f"{job}|resume|{run}")
    envelope = _envelope(asked, ResumeRequested.kind(), job, tenant, known, run)
    return encode(topics.REDRIVES.name, envelope, ResumeRequested(step=step, by=tenant))


def _again(job: str, tenant: str, known: Submission, within: timedelta) -> Outgoing:
    """The next run's record: with the same id whoever asks, so that it counts once."""
    if known.source is None:
        raise Conflict("the job's submission is not known here yet", retry_after=1)
    run = known.run + 1
    submitted = submission_id(job, known.source.sha256, run)
    envelope = _envelope(submitted, JobSubmitted.kind(), job, tenant, known, run)
    envelope = envelope.model_copy(update={"deadline": envelope.at + within})
    pipeline = plans.PLANS[known.plan].pipeline
    payload = JobSubmitted(source=known.source, filename=known.filename, pipeline=pipeline)
    return encode(topics.JOBS.name, envelope, payload)


def _envelope(name: uuid.UUID, kind: str, job: str, tenant: str, known: Submission, run: int) -> Envelope:
    return Envelope(
        id=name,
        kind=kind,
        at=datetime.now(UTC),
        job=job,
        run=run,
        part=0,
        tenant=tenant,
        plan=known.plan,
        lane=known.lane,
        document=known.document_id,
        revision=known.revision,
        traceparent=new_trace(),
    )

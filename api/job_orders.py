"""Orders about jobs: stop them, run them again; each the record that goes on the log."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Literal

from api.parts import Parts
from schemas import plans, topics
from schemas.codec import encode, submission_id
from schemas.control import ControlEntry
from schemas.documents import CancelRequested, JobSubmitted, ResumeRequested
from schemas.envelope import NAMESPACE, Envelope, new_trace
from schemas.errors import Conflict
from schemas.job_choice import MOST_AT_ONCE, ChosenJobs, JobsTaken
from schemas.jobs import TERMINAL, TRANSITIONS, JobState
from schemas.ports import Submission
from schemas.records import Outgoing

_ORDER_STANDS = timedelta(days=1)
_STOPPABLE = frozenset(JobState) - TERMINAL
_RETRYABLE = frozenset(state for state, after in TRANSITIONS.items() if JobState.QUEUED in after)


async def cancelled(chosen: ChosenJobs, tenant: str, parts: Parts) -> JobsTaken:
    """Order that those be stopped that have not ended; raises `NotFound`, `LogUnavailable`, `DependencyDown`."""
    found = await _meant(chosen, tenant, parts, _STOPPABLE)
    orders = [cancellation(job, tenant, known.run, known.deadline, known) for job, known in found[:MOST_AT_ONCE]]
    await parts.publisher.publish([record for records in orders for record in records])
    return JobsTaken(taken=min(len(found), MOST_AT_ONCE), more=len(found) > MOST_AT_ONCE)


async def retried(chosen: ChosenJobs, tenant: str, parts: Parts) -> JobsTaken:
    """Order that those be run once more that ended without success; raises as `cancelled`."""
    within = timedelta(hours=parts.settings.deadline_hours)
    found = await _meant(chosen, tenant, parts, _RETRYABLE)
    able = [(job, known) for job, known in found[:MOST_AT_ONCE] if known.source and known.plan in plans.PLANS]
    await parts.publisher.publish([again(job, tenant, known, within) for job, known in able])
    return JobsTaken(taken=len(able), more=len(found) > MOST_AT_ONCE)


async def _meant(
    chosen: ChosenJobs, tenant: str, parts: Parts, states: frozenset[JobState]
) -> list[tuple[str, Submission]]:
    """Those in one of these states, and one more than an order takes; raises `NotFound` for one of another tenant."""
    for job in chosen.jobs:
        parts.ids.check(job, tenant)
    return await parts.jobs.chosen(tenant, chosen, states, MOST_AT_ONCE + 1)


def cancellation(
    job: str, tenant: str, run: int, deadline: datetime | None, known: Submission | None
) -> list[Outgoing]:
    """The order to stop a run, and the event that says so.

    An event must name the job's document, which nobody here knows before the job is projected. The order suffices.
    """
    now = datetime.now(UTC)
    entry = ControlEntry(action="cancel", run=run, until=max(now + _ORDER_STANDS, deadline or now))
    records = [Outgoing(topics.CONTROL.name, job.encode(), entry.model_dump_json().encode())]
    if known is not None:
        requested = uuid.uuid5(NAMESPACE, f"{job}|cancel|{run}")
        envelope = _envelope(requested, CancelRequested.kind(), job, tenant, known, run)
        records.append(encode(topics.EVENTS.name, envelope, CancelRequested()))
    return records


def resumed(step: Literal["ocr", "chunk"], job: str, tenant: str, known: Submission) -> Outgoing:
    """The order to go on from a step: one id for a run, whoever asks and from wherever."""
    run = known.run + 1
    asked = uuid.uuid5(NAMESPACE, f"{job}|resume|{run}")
    envelope = _envelope(asked, ResumeRequested.kind(), job, tenant, known, run)
    return encode(topics.REDRIVES.name, envelope, ResumeRequested(step=step, by=tenant))


def again(job: str, tenant: str, known: Submission, within: timedelta) -> Outgoing:
    """The next run's record: with the same id whoever asks, so that it counts once.

    Raises `Conflict` while nothing is known of the job's bytes.
    """
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

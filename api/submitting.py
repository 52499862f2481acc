"""A submission on the log: of a new id, or of the id that its `Idempotency-Key` stands for."""

import re
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from pydantic import AwareDatetime, BaseModel, Field

from api import idempotency
from api.auth.identity import Identity
from api.parts import Parts
from api.uploads import Upload
from schemas import keys, topics
from schemas.codec import encode, submission_id
from schemas.documents import JobSubmitted
from schemas.envelope import Envelope, child_span, new_trace
from schemas.errors import HeadraceError
from schemas.jobs import JobState
from schemas.plans import Plan

_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class JobAccepted(BaseModel):
    """A job that the log has confirmed: from now on it survives any crash."""

    id: str
    state: JobState = JobState.QUEUED
    document_id: str
    revision: int = Field(description="Microseconds since 1970 when it was accepted; a newer one replaces an older.")
    pipeline: str
    plan: str = Field(default="", description="The hash of the plan that it runs by.")
    filename: str
    size: int
    sha256: str
    created_at: AwareDatetime


async def submitted(
    parts: Parts, who: Identity, upload: Upload, plan: Plan, span: float | None, trace: str, key: str
) -> tuple[JobAccepted, bool]:
    """The job of this `Idempotency-Key`, and whether it was accepted before; then these bytes are not kept."""
    tenant = who.tenant
    # Of the key no more is kept: it may say something of a person.
    name, mark = keys.sha256(key), idempotency.fingerprint(upload, span)
    try:
        taken = await parts.submissions.take(tenant, name, mark, parts.ids.issue(tenant))
    except HeadraceError:
        await parts.blobs.delete(upload.claim.key)
        raise
    if not taken.job:
        await parts.blobs.delete(upload.claim.key)
        return JobAccepted.model_validate_json(taken.answer), True
    publishing = partial(publish, parts, who, upload, plan, span, trace)
    return await idempotency.carried(parts.submissions, parts.failpoints, tenant, name, taken.job, publishing), False


async def publish(
    parts: Parts, who: Identity, upload: Upload, plan: Plan, span: float | None, trace: str, job: str = ""
) -> JobAccepted:
    """Put a job on the log, of a new id where none is given."""
    at, tenant = time.time(), who.tenant
    job = job or parts.ids.issue(tenant, at=at)
    within = timedelta(seconds=span) if span else timedelta(hours=parts.settings.deadline_hours)
    envelope = _envelope(job, tenant, plan, upload, at, within, trace)
    payload = JobSubmitted(
        source=upload.claim,
        filename=upload.filename,
        pipeline=plan.pipeline,
        metadata=upload.fields.metadata,
        tags=upload.fields.tags,
        submitted_by=who.key,
    )
    # When this raises, the record may still have reached the log, so the bytes stay: a sweep takes what no job names.
    await parts.publisher.publish([encode(topics.JOBS.name, envelope, payload)])
    return JobAccepted(
        id=job,
        document_id=envelope.document,
        revision=envelope.revision,
        pipeline=plan.pipeline,
        plan=envelope.plan,
        filename=upload.filename,
        size=upload.claim.size,
        sha256=upload.claim.sha256,
        created_at=envelope.at,
    )


def _envelope(
    job: str, tenant: str, plan: Plan, upload: Upload, accepted: float, within: timedelta, trace: str
) -> Envelope:
    fields, at = upload.fields, datetime.fromtimestamp(accepted, UTC)
    return Envelope(
        id=submission_id(job, upload.claim.sha256, 1),
        kind=JobSubmitted.kind(),
        at=at,
        job=job,
        run=1,
        part=0,
        tenant=tenant,
        plan=plan.hash,
        lane=fields.lane,
        deadline=at + within,
        document=fields.document_id or f"doc_{secrets.token_hex(12)}",
        revision=int(accepted * 1_000_000),
        traceparent=child_span(trace) if _TRACE.fullmatch(trace) else new_trace(),
    )

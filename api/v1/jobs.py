"""Jobs: submit a document, list them, ask how far one is, fetch what was read."""

import secrets
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import idempotency
from api.auth.doors import JobsRead, JobsWrite, spend
from api.auth.identity import Identity
from api.errors import FieldProblem, InvalidRequest, declare
from api.etags import is_known, tag_of
from api.parts import Parts, PartsOf
from api.planning import planned
from api.preferences import cancel_after, wait_seconds
from api.quotas import Quotas
from api.streams import EventStreams
from api.submitting import JobAccepted, publish, submitted
from api.uploads import MOST_SECONDS, SubmitFields, receive
from producers import queueing
from schemas.errors import (
    BadRequest,
    Conflict,
    DependencyDown,
    EmptyInput,
    Gone,
    HeadraceError,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    LogUnavailable,
    NotFound,
    Overloaded,
    QuotaExceeded,
    TooLarge,
    TooManyPagesWaiting,
    UnsupportedMedia,
)  # fmt: skip
from schemas.jobs import TERMINAL, JobList, JobQuery, JobResult, JobState, JobView
from schemas.printable import printable
from schemas.timeline import JobTimeline, TimelineQuery

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_HEADERS = {
    "prefer": "`wait=SECONDS` (RFC 7240): answer when the job has ended, if it does.",
    "cancel-after": "When to give the job up, as `deadline_seconds`: `90s`, `1m30s`, `2h`.",
    "idempotency-key": "A name of the caller's for this submission, quoted or bare, at most 255 characters: sent again "
    "within a day, it is answered as before and no second job is made.",
}
"""Read by hand, as the form is: FastAPI solves the parameters of a route anew for each request."""
# Clocks of API processes and brokers may differ, and a publish may take `publish_seconds` after the id was issued.
_MARGIN = timedelta(seconds=30)
_SENT = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": told}
        for name, told in _HEADERS.items()
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                        **SubmitFields.model_json_schema()["properties"],
                    },
                }
            }
        },
    },
}


@router.post(
    "",
    status_code=202,
    response_model=JobAccepted,
    responses={
        200: {"model": JobView, "description": "The job, which ended within the time that `Prefer` names."},
        **declare(
            BadRequest,
            TooLarge,
            UnsupportedMedia,
            EmptyInput,
            InvalidRequest,
            TooManyPagesWaiting,
            QuotaExceeded,
            IdempotencyKeyReused,
            IdempotencyInProgress,
            LogUnavailable,
            DependencyDown,
            Overloaded,
        ),
    },
    openapi_extra=_SENT,
)
async def submit(request: Request, who: JobsWrite) -> Response:
    """Store the document, put the job on the log, answer 202 once the log has confirmed it.

    Where too much waits already it is refused before it is read, and `Retry-After` says when there may be room. Needs
    no PostgreSQL. The id is issued after the upload: it tells when the job was accepted, and a slow upload must not
    make it look old.

    With an `Idempotency-Key` a submission that is sent again within a day is answered as before, with the header
    `Idempotent-Replayed: true`, and no second job is made. One row is written first, so PostgreSQL must be there.

    With `Prefer: wait=10` the answer is 200 and the job as it ended, where it ends within so many seconds (at most 60);
    202 as ever where it does not, or where the database that knows of its end is away.
    """
    parts: Parts = request.app.state.parts
    quotas: Quotas = request.app.state.quotas
    name = idempotency.parsed(request.headers.get("idempotency-key"))
    request.app.state.admission.check(who.tenant)  # before the body is read
    quotas.check(who)
    span = cancel_after(request.headers.get("cancel-after"), MOST_SECONDS)
    key = f"{who.tenant}/{secrets.token_hex(16)}"
    upload = await receive(
        request, parts.blobs, key, parts.settings.upload_limit, partial(spend, request, who, "bytes")
    )
    if span and upload.fields.deadline_seconds:
        await parts.blobs.delete(key)
        raise BadRequest("give either Cancel-After or deadline_seconds")
    span = span or upload.fields.deadline_seconds
    try:
        plan = await planned(upload.fields.plan, upload.fields.model, parts)
    except HeadraceError:
        await parts.blobs.delete(key)
        raise
    trace = request.headers.get("traceparent", "")
    if name is None:
        accepted, replayed = await publish(parts, who, upload, plan, span, trace), False
    else:
        accepted, replayed = await submitted(parts, who, upload, plan, span, trace, name)
    request.app.state.metrics.accepted()
    if not replayed:
        quotas.accepted(who, accepted.size)
    headers = {"Location": f"/v1/jobs/{accepted.id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
    if (seconds := wait_seconds(request.headers.get("prefer", ""))) is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
        if (view := await _waited(request, who, accepted.id, parts, seconds)) is not None:
            return Response(view.model_dump_json(), 200, headers, "application/json")
    return Response(accepted.model_dump_json(), 202, headers, "application/json")


@router.get("", responses=declare(BadRequest, InvalidRequest, DependencyDown))
async def job_list(query: Annotated[JobQuery, Query()], who: JobsRead, parts: PartsOf) -> JobList:
    """The caller's jobs, newest first; a job is listed once the projector has seen it (`projected_through`).

    `next` of one answer is `after` of the next. Jobs that come meanwhile do not shift what follows.
    """
    try:
        printable(query.document_id or "")
    except ValueError as error:
        raise InvalidRequest([FieldProblem(pointer="/document_id", code="value_error", detail=str(error))]) from error
    return await parts.jobs.jobs(who.tenant, query)


@router.get(
    "/{job}",
    response_model=JobView,
    responses={
        304: {"description": "Nothing has changed since the answer that `If-None-Match` names."},
        **declare(NotFound, Gone, DependencyDown),
    },
)
async def job_view(request: Request, response: Response, job: str, who: JobsRead, parts: PartsOf) -> JobView | Response:
    """How far a job is, and while it waits, its place in the queue.

    Ids are checked without a database: one that this server did not issue to the caller is 404. The `ETag` changes with
    everything but `projected_through`.
    """
    issued = parts.ids.check(job, who.tenant)
    view = await view_of(job, who.tenant, parts, issued)
    if view.state not in TERMINAL and (backlog := await parts.jobs.backlog(who.tenant, job)) is not None:
        place = queueing.place(who.tenant, backlog, request.app.state.admission.report())
        view = view.model_copy(update={"queue": place})
    tag = tag_of(view.model_dump_json(exclude={"projected_through"}).encode())
    headers = {"ETag": f'W/"{tag}"', "Cache-Control": "private, no-cache"}
    if is_known(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return view


@router.get("/{job}/result", responses=declare(NotFound, Conflict, Gone, DependencyDown))
async def job_result(job: str, who: JobsRead, parts: PartsOf) -> JobResult:
    """What was read, page by page, and what went wrong; 409 until the job has ended."""
    issued = parts.ids.check(job, who.tenant)
    result = await parts.jobs.result(who.tenant, job)
    if result is None and (await view_of(job, who.tenant, parts, issued)).deleted:
        raise Gone("the job's document was deleted")
    if result is None or result.state not in TERMINAL:
        raise Conflict(retry_after=1)
    return result


@router.get("/{job}/timeline", responses=declare(BadRequest, InvalidRequest, NotFound, Gone, DependencyDown))
async def job_timeline(
    job: str, query: Annotated[TimelineQuery, Query()], who: JobsRead, parts: PartsOf
) -> JobTimeline:
    """Each attempt of each step at each page, in every run of the job: when, for how long, and how it ended.

    Told once a page was read, is in an index or came to another end, of all the steps before. Attempts whose process
    was killed are counted (`attempt`), but not told of.
    """
    issued = parts.ids.check(job, who.tenant)
    found = await parts.jobs.timeline(who.tenant, job, query)
    if not found.data and query.after is None:
        await view_of(job, who.tenant, parts, issued)
    return found


async def _waited(request: Request, who: Identity, job: str, parts: Parts, seconds: int) -> JobView | None:
    """The job once it has ended, None where it does not within `seconds`."""
    streams: EventStreams = request.app.state.streams
    try:
        return await parts.jobs.job(who.tenant, job) if await streams.until_ended(who, job, seconds) else None
    except DependencyDown:  # it was accepted, whatever can be said of it now
        return None


async def view_of(job: str, tenant: str, parts: Parts, issued: datetime) -> JobView:
    """What is known of a job that this server issued at `issued`; raises `Gone` when it is no longer kept."""
    view = await parts.jobs.job(tenant, job)
    if view is not None:
        return view
    through = await parts.jobs.projected_through()
    # Again, after the mark was read: the row may have come while the projector caught up, between the two reads.
    view = await parts.jobs.job(tenant, job)
    if view is not None:
        return view
    if through is not None and issued < through - _MARGIN:
        raise Gone("the job is no longer kept")
    return JobView(id=job, state=JobState.QUEUED, created_at=issued, projected_through=through)

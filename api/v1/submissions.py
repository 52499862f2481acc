"""Submitting a document: the one route that has to be quick."""

import secrets
from functools import partial

from fastapi import APIRouter, Request, Response

from api import idempotency
from api.auth.doors import JobsWrite, spend
from api.auth.identity import Identity
from api.direct import DirectRoute
from api.errors import InvalidRequest, declare
from api.parts import Parts
from api.planning import planned
from api.preferences import cancel_after, wait_seconds
from api.quotas import Quotas
from api.streams import EventStreams
from api.submitting import JobAccepted, publish, submitted
from api.uploads import MOST_SECONDS, SubmitFields, receive
from schemas.errors import (
    BadRequest,
    DependencyDown,
    EmptyInput,
    HeadraceError,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    LogUnavailable,
    Overloaded,
    QuotaExceeded,
    TooLarge,
    TooManyPagesWaiting,
    UnsupportedMedia,
)  # fmt: skip
from schemas.jobs import JobView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=DirectRoute)
_HEADERS = {
    "prefer": "`wait=SECONDS` (RFC 7240): answer when the job has ended, if it does.",
    "cancel-after": "When to give the job up, as `deadline_seconds`: `90s`, `1m30s`, `2h`.",
    "idempotency-key": "A name of the caller's for this submission, quoted or bare, at most 255 characters: sent again "
    "within a day, it is answered as before and no second job is made.",
}
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


async def _waited(request: Request, who: Identity, job: str, parts: Parts, seconds: int) -> JobView | None:
    """The job once it has ended, None where it does not within `seconds`."""
    streams: EventStreams = request.app.state.streams
    try:
        return await parts.jobs.job(who.tenant, job) if await streams.until_ended(who, job, seconds) else None
    except DependencyDown:  # it was accepted, whatever can be said of it now
        return None

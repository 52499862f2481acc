"""A job's story as server-sent events, which any API process can go on telling."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from api.auth.doors import JobsRead
from api.errors import InvalidRequest, declare
from api.parts import PartsOf
from api.streams import MEDIA_TYPE, EventStreams, ended
from api.v1.jobs import view_of
from schemas.errors import BadRequest, DependencyDown, Gone, NotFound, Overloaded

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_LAST = 2**31 - 1
_Number = Annotated[int | None, Query(ge=0, le=_LAST, description="Begin behind this event; `Last-Event-ID` wins.")]
_LastSeen = Annotated[int | None, Header(ge=0, le=_LAST, description="The `id` of the last event that was seen.")]
_Run = Annotated[int, Query(ge=1, le=_LAST, description="The run whose end closes the stream.")]

_EXAMPLE = (
    'retry: 1000\n\nevent: page.read\ndata: {"seq":4,"event":"page.read","run":1,"page":1,'
    '"at":"2026-11-21T10:00:00Z","data":{}}\nid: 4\n\n: nothing new\n\n'
)


@router.get(
    "/{job}/events",
    response_class=Response,
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        204: {"description": "Nothing follows the event named: the run has ended. `EventSource` asks no more."},
        **declare(BadRequest, NotFound, Gone, InvalidRequest, Overloaded, DependencyDown),
    },
)
async def job_events(
    request: Request,
    job: str,
    who: JobsRead,
    parts: PartsOf,
    after: _Number = None,
    run: _Run = 1,
    last_event_id: _LastSeen = None,
) -> Response:
    """Everything that happens to a job, from its first event on, as it happens; a comment when nothing does.

    `id` counts within the job, without gaps and the same at every API process: a caller that was cut off names the
    last one it saw and misses nothing. The stream closes behind the event of the run's end.
    """
    issued = parts.ids.check(job, who.tenant)
    streams: EventStreams = request.app.state.streams
    streams.admit()
    seen = (after or 0) if last_event_id is None else last_event_id
    told = await parts.jobs.events(who.tenant, job, max(seen - 1, 0), 2)
    if not told:
        await view_of(job, who.tenant, parts, issued)  # an old job without a row is gone; a new one will have its first
    if seen and (not told or told[0].seq != seen):
        raise BadRequest("the job has no event of the number that Last-Event-ID or `after` names")
    if seen and len(told) == 1 and ended(told[0], run):
        return Response(status_code=204)
    return streams.response(who, job, seen, run)

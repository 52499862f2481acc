"""Jobs: list them, ask how far one is, fetch what was read and what each page went through."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.auth.doors import JobsRead
from api.errors import InvalidRequest, declare
from api.etags import is_known, tag_of
from api.parts import Parts, PartsOf
from producers import queueing
from schemas.errors import BadRequest, Conflict, DependencyDown, Gone, NotFound
from schemas.jobs import TERMINAL, JobList, JobQuery, JobResult, JobState, JobView
from schemas.timeline import JobTimeline, TimelineQuery

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
# Clocks of API processes and brokers may differ, and a publish may take `publish_seconds` after the id was issued.
_MARGIN = timedelta(seconds=30)


@router.get("", responses=declare(BadRequest, InvalidRequest, DependencyDown))
async def job_list(query: Annotated[JobQuery, Query()], who: JobsRead, parts: PartsOf) -> JobList:
    """The caller's jobs, newest first; a job is listed once the projector has seen it (`projected_through`).

    `next` of one answer is `after` of the next. Jobs that come meanwhile do not shift what follows.
    """
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

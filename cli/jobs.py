"""`headrace jobs list`, `get`, `watch`, `cancel` and `retry`."""

import contextlib
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import job_orders
from cli.completion import job_ids
from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.job_orders import All, Document, Ids, InLane, Since, States, Tags, Until, Yes
from cli.output import AsJson, AsLines, note, plain, show, show_json, show_line

if TYPE_CHECKING:
    from cli.client import Client

_PATIENCE = 10.0  # seconds for the last question to a server that restarts
Id = Annotated[
    str, typer.Argument(help="The job's id, as `submit` printed it.", metavar="ID", autocompletion=job_ids)
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands."""
    jobs = typer.Typer(help="Look at jobs, follow them, cancel and retry them.", no_args_is_help=True)
    app.add_typer(jobs, name="jobs")
    jobs.command(name="list")(listed)
    for verb in (get, watch, timeline, cancel, retry):
        jobs.command()(verb)


@connected
def listed(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    *,
    state: States = None,
    document: Document = None,
    lane: InLane = None,
    tag: Tags = None,
    since: Since = None,
    until: Until = None,
    order: Annotated[
        Literal["created", "finished"], typer.Option(help="Newest first, by acceptance or by end.")
    ] = "created",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    as_json: AsLines = False,
) -> None:
    """List jobs, newest first."""
    from cli.job_text import LISTING
    from cli.paging import pages

    given = job_orders.where(state, document, lane, tag, since, until) | {"order": f"{order}_at"}
    with connect() as client:
        LISTING.print(pages(lambda page: client.jobs(given | page), limit, "jobs"), as_json=as_json)


@connected
def get(
    connect: Connect,
    job: Id,
    *,
    result: Annotated[bool, typer.Option("--result", help="Print what was read instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a job, or its result."""
    from cli import job_text

    with connect() as client:
        if result:
            found = client.result(job)
            show_json(found.model_dump(mode="json")) if as_json else job_text.show_result(found)
        else:
            view = client.job(job)
            show_json(view.model_dump(mode="json")) if as_json else job_text.show_view(view)


@connected
def timeline(
    connect: Connect,
    job: Id,
    *,
    page: Annotated[int | None, typer.Option(help="Of this page alone.", min=1)] = None,
    limit: Annotated[int, typer.Option(help="How many pages at most, each run of one counted.", min=1)] = 20,
    as_json: AsLines = False,
) -> None:
    """Show each attempt of each step, page by page and run by run: when, for how long, and how it ended."""
    from cli.job_text import TIMELINE, attempts
    from cli.paging import pages

    given = {} if page is None else {"page": str(page)}
    with connect() as client:
        found = pages(lambda place: client.timeline(job, given | place), limit, "attempts yet")
        TIMELINE.print((attempt for part in found for attempt in attempts(part)), as_json=as_json)


@connected
def watch(
    connect: Connect,
    job: Id,
    *,
    after: Annotated[int, typer.Option(help="Only events after this one (its number).", min=0)] = 0,
    run: Annotated[int, typer.Option(help="The run to wait for, as `retry` told it.", min=1)] = 1,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most.", min=0)] = None,
    as_json: AsLines = False,
) -> None:
    """Follow a job's events to its end; exits 0 when it has succeeded, 1 when not, 6 when that took too long."""
    import time

    from cli.following import follow
    from cli.job_text import event_line
    from schemas.jobs import JobState

    until = None if timeout is None else time.monotonic() + timeout
    with connect() as client:
        for event in follow(client, job, after=after, run=run, until=until):
            show_line(event.model_dump(mode="json")) if as_json else show(event_line(event))
            if event.event == "job.queued" and not as_json:
                _tell_place(client, job)
        view = client.job(job, until=time.monotonic() + _PATIENCE)
    for failure in view.errors:
        note(f"error: page {failure.page}: {failure.step}: {failure.code}: {plain(failure.detail)}")
    raise typer.Exit(Exit.OK if view.state is JobState.SUCCEEDED else Exit.FAILED)


def _tell_place(client: "Client", job: str) -> None:
    """Say where the job stands, while it waits; what cannot be told now is left untold."""
    from cli.job_text import place

    with contextlib.suppress(CliError):
        if (queue := client.job(job).queue) is not None:
            note(f"queue: {place(queue)}")


@connected
def cancel(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    jobs: Ids = None,
    *,
    state: States = None,
    document: Document = None,
    lane: InLane = None,
    tag: Tags = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsLines = False,
) -> None:
    """Cancel jobs, those named or those that have something in common: what is not yet done of them will not be."""
    common = job_orders.where(state, document, lane, tag, since, until)
    job_orders.check(jobs, common, everything=everything)
    with connect() as client:
        if not jobs:
            job_orders.many(client.cancel_jobs, common, "Cancel all these jobs?", yes=yes, as_json=as_json)
            return
        job_orders.each(
            jobs, client.cancel, lambda view: "cancelling" if view.cancelling else view.state.value, as_json=as_json
        )


@connected
def retry(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    jobs: Ids = None,
    *,
    step: Annotated[
        Literal["prepare", "ocr", "chunk"],
        typer.Option("--from", help="Go on from this step, with what earlier ones stored: only pages without success."),
    ] = "prepare",
    state: States = None,
    document: Document = None,
    lane: InLane = None,
    tag: Tags = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsLines = False,
) -> None:
    """Run jobs again that failed, were cancelled or expired, those named or those that have something in common."""
    common = job_orders.where(state, document, lane, tag, since, until)
    job_orders.check(jobs, common, everything=everything)
    if not jobs and step != "prepare":
        raise CliError("--from is for jobs that are named", Exit.USAGE, "many jobs at once are run again whole")
    with connect() as client:
        if not jobs:
            job_orders.many(client.retry_jobs, common, "Run all these jobs again?", yes=yes, as_json=as_json)
            return
        job_orders.each(jobs, lambda job: client.retry(job, step), lambda view: f"run {view.run}", as_json=as_json)

"""`headrace jobs list`, `get`, `watch`, `cancel` and `retry`."""

import contextlib
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.completion import job_ids
from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.output import AsJson, AsLines, note, plain, show, show_json, show_line

if TYPE_CHECKING:
    from cli.client import Client
    from schemas.jobs import JobView

_PATIENCE = 10.0  # seconds for the last question to a server that restarts
State = StrEnum("State", ("QUEUED", "RUNNING", "SUCCEEDED", "PARTIAL", "FAILED", "CANCELLED", "EXPIRED"))
"""`schemas.jobs.JobState` without the weight of its module: what `--help` does not need is not imported for it."""
Id = Annotated[
    str, typer.Argument(help="The job's id, as `submit` printed it.", metavar="ID", autocompletion=job_ids)
]  # fmt: skip
Ids = Annotated[list[str], typer.Argument(help="Ids of jobs.", metavar="ID", autocompletion=job_ids)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    jobs = typer.Typer(help="Look at jobs, follow them, cancel and retry them.", no_args_is_help=True)
    app.add_typer(jobs, name="jobs")
    jobs.command(name="list")(listed)
    for verb in (get, watch, cancel, retry):
        jobs.command()(verb)


@connected
def listed(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    *,
    state: Annotated[list[State] | None, typer.Option(help="Only in this state (may be repeated).")] = None,
    document: Annotated[str | None, typer.Option(help="Only of this document.", metavar="ID")] = None,
    lane: Annotated[Literal["interactive", "bulk"] | None, typer.Option(help="Only of this lane.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag; may be repeated.")] = None,
    since: Annotated[str | None, typer.Option(help="Not before: `2h`, `7d`, or a date and time.")] = None,
    until: Annotated[str | None, typer.Option(help="Before: `2h`, `7d`, or a date and time.")] = None,
    order: Annotated[
        Literal["created", "finished"], typer.Option(help="Newest first, by acceptance or by end.")
    ] = "created",
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    as_json: AsLines = False,
) -> None:
    """List jobs, newest first."""
    from cli.job_text import LISTING
    from cli.moments import moment
    from cli.paging import pages

    query: dict[str, str | Sequence[str] | None] = {
        "state": state, "document_id": document, "lane": lane, "tag": tag, "since": moment(since, "--since"),
        "until": moment(until, "--until"), "order": f"{order}_at",
    }  # fmt: skip
    given = {name: value for name, value in query.items() if value}
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
def cancel(connect: Connect, jobs: Ids, *, as_json: AsLines = False) -> None:
    """Cancel jobs: what is not yet done of them will not be."""
    with connect() as client:
        _each(jobs, client.cancel, lambda view: "cancelling" if view.cancelling else view.state.value, as_json=as_json)


@connected
def retry(
    connect: Connect,
    jobs: Ids,
    *,
    step: Annotated[
        Literal["prepare", "ocr", "chunk"],
        typer.Option("--from", help="Go on from this step, with what earlier ones stored: only pages without success."),
    ] = "prepare",
    as_json: AsLines = False,
) -> None:
    """Run jobs again that failed, were cancelled or expired, wholly or in part."""
    with connect() as client:
        _each(jobs, lambda job: client.retry(job, step), lambda view: f"run {view.run}", as_json=as_json)


def _each(jobs: list[str], ask: "Callable[[str], JobView]", say: "Callable[[JobView], str]", *, as_json: bool) -> None:
    """Ask for each job; one that is refused does not stop the others, a server that is lost does."""
    code = 0
    for job in jobs:
        try:
            view = ask(job)
        except CliError as error:
            if error.code in (Exit.UNREACHABLE, Exit.UNAUTHORIZED):
                raise
            note(f"error: {plain(job)}: {error}")
            if error.hint:
                note(f"hint: {error.hint}")
            code = max(code, error.code)
        else:
            show_line(view.model_dump(mode="json")) if as_json else show(f"{job}\t{say(view)}")
    raise typer.Exit(code)

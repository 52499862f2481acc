"""Which jobs `headrace jobs cancel` and `retry` are about: named, or by what they have in common."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.completion import job_ids
from cli.errors import CliError, Exit
from cli.output import agree, note, plain, show, show_json, show_line

if TYPE_CHECKING:
    from schemas.job_choice import JobsTaken
    from schemas.jobs import JobView

State = StrEnum("State", ("QUEUED", "RUNNING", "SUCCEEDED", "PARTIAL", "FAILED", "CANCELLED", "EXPIRED"))
"""`schemas.jobs.JobState` without the weight of its module: what `--help` does not need is not imported for it."""
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of jobs.", metavar="[ID]...", autocompletion=job_ids)]
States = Annotated[list[State] | None, typer.Option("--state", help="Only in this state (may be repeated).")]
Document = Annotated[str | None, typer.Option(help="Only of this document.", metavar="ID")]
InLane = Annotated[Literal["interactive", "bulk"] | None, typer.Option("--lane", help="Only of this lane.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only with this tag; may be repeated.")]
Since = Annotated[str | None, typer.Option(help="Not before: `2h`, `7d`, or a date and time.")]
Until = Annotated[str | None, typer.Option(help="Before: `2h`, `7d`, or a date and time.")]
All = Annotated[bool, typer.Option("--all", help="All that it can be done to.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def where(
    state: Sequence[str] | None,
    document: str | None,
    lane: str | None,
    tag: Sequence[str] | None,
    since: str | None,
    until: str | None,
) -> dict[str, Any]:
    """What jobs have in common, as the API takes it: only what was named."""
    from cli.moments import moment

    given = {
        "state": state, "document_id": document, "lane": lane, "tag": tag, "since": moment(since, "--since"),
        "until": moment(until, "--until"),
    }  # fmt: skip
    return {name: value for name, value in given.items() if value}


def check(jobs: Sequence[str] | None, common: Mapping[str, Any], *, everything: bool) -> None:
    """Raise `CliError` unless jobs are chosen in one way."""
    if bool(jobs) + bool(common) + everything != 1:
        hint = "name some, or give --tag, --state, --lane, --document, --since or --until, or --all"
        raise CliError("which jobs?", Exit.USAGE, hint)


def many(
    order: "Callable[[Mapping[str, Any]], JobsTaken]",
    common: Mapping[str, Any],
    question: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """One order about all that have this in common."""
    agree(question, yes=yes)
    taken = order({"where": common} if common else {"all": True})
    show_json(taken.model_dump()) if as_json else show(f"{taken.taken} jobs")
    if taken.more:
        note("there are more: run it again in a moment")


def each(
    jobs: Sequence[str], ask: "Callable[[str], JobView]", say: "Callable[[JobView], str]", *, as_json: bool
) -> None:
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

"""`headrace dlq list`, `causes`, `show`, `edit`, `redrive` and `discard`: records that were rejected."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import strays
from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.output import AsJson, AsLines, agree, note, show, show_json

if TYPE_CHECKING:
    from schemas.dead_letters import LettersTaken

State = StrEnum("State", ("OPEN", "REDRIVEN", "DISCARDED"))
"""`schemas.dead_letters.LetterState` without the weight of its module."""
Id = Annotated[str, typer.Argument(help="The letter's id, as `list` prints it.", metavar="ID")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters.", metavar="ID")]
Job = Annotated[str | None, typer.Option(help="Only of this job.", metavar="ID")]
Step = Annotated[str | None, typer.Option(help="Only what this step or sink rejected.")]
Code = Annotated[str | None, typer.Option(help="Only with this error code.")]
Cause = Annotated[str | None, typer.Option(help="Only of this cause, as `causes` prints it.")]
All = Annotated[bool, typer.Option("--all", help="All that are open.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting to try it with, such as ocr.det_limit_side=1280.", metavar="STEP.NAME=VALUE"),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    letters = typer.Typer(help="Dead letters: look at them, try them again, perhaps edited.", no_args_is_help=True)
    app.add_typer(letters, name="dlq")
    letters.command(name="list")(listed)
    letters.command(name="show")(shown)
    for verb in (causes, edit, redrive, discard):
        letters.command()(verb)
    strays.register(letters)


@connected
def listed(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    *,
    job: Job = None,
    step: Step = None,
    code: Code = None,
    cause: Cause = None,
    state: Annotated[list[State] | None, typer.Option(help="Only in this state (may be repeated).")] = None,
    since: Annotated[str | None, typer.Option(help="Not before: `2h`, `7d`, or a date and time.")] = None,
    until: Annotated[str | None, typer.Option(help="Before: `2h`, `7d`, or a date and time.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    as_json: AsLines = False,
) -> None:
    """List dead letters, newest first."""
    from cli.letter_text import LISTING
    from cli.moments import moment
    from cli.paging import pages

    query: dict[str, Any] = {
        **_where(job, step, code, cause), "state": state, "since": moment(since, "--since"),
        "until": moment(until, "--until"),
    }  # fmt: skip
    given = {name: value for name, value in query.items() if value}
    with connect() as client:
        LISTING.print(pages(lambda page: client.letters(given | page), limit, "dead letters"), as_json=as_json)


@connected
def causes(connect: Connect, *, job: Job = None, step: Step = None, as_json: AsLines = False) -> None:
    """Open dead letters by what went wrong, the most frequent first."""
    from cli.letter_text import CAUSES

    with connect() as client:
        found = client.causes(_where(job, step)).data
    CAUSES.print(found, as_json=as_json)
    if not found:
        note("no open dead letters")


@connected
def shown(connect: Connect, letter: Id, *, as_json: AsJson = False) -> None:
    """Show a dead letter: its envelope, its payload, what happened, and what was done about it."""
    from cli.letter_text import show_letter

    with connect() as client:
        found = client.letter(letter)
    show_json(found.model_dump(mode="json")) if as_json else show_letter(found)


@connected
def edit(connect: Connect, letter: Id, *, settings: Settings = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Edit a dead letter and try it again: settings by --set, else its payload in $EDITOR."""
    from cli.letter_edits import agreed, edited_payload, edited_settings

    with connect() as client:
        found = client.letter(letter)
        if found.state != "open":
            raise CliError(f"the letter is {found.state}", Exit.FAILED, "only an open letter is tried again")
        if settings:
            edits: dict[str, Any] = {"settings": edited_settings(settings)}
        else:
            edits = {"payload": edited_payload(found.payload)}
        agreed(found, edits, yes=yes)
        _tell(client.redrive_letter(letter, edits), as_json=as_json)
    note(f"how it goes: headrace dlq show {found.id}" + (f", headrace jobs watch {found.job}" if found.job else ""))


@connected
def redrive(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    letters: Ids = None,
    *,
    job: Job = None,
    step: Step = None,
    code: Code = None,
    cause: Cause = None,
    everything: All = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Try dead letters again: those named, those of a job, step, code or cause, or all."""
    from cli.letter_edits import edited_settings

    chosen = _chosen(letters, _where(job, step, code, cause), everything=everything)
    with connect() as client:
        order = chosen | ({"edits": {"settings": edited_settings(settings)}} if settings else {})
        _tell(client.redrive(order), as_json=as_json)


@connected
def discard(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    letters: Ids = None,
    *,
    job: Job = None,
    step: Step = None,
    code: Code = None,
    cause: Cause = None,
    everything: All = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Close dead letters without trying them again."""
    chosen = _chosen(letters, _where(job, step, code, cause), everything=everything)
    if not letters:
        agree("Close all these without trying them again?", yes=yes)
    with connect() as client:
        _tell(client.discard(chosen), as_json=as_json)


def _where(job: str | None, step: str | None, code: str | None = None, cause: str | None = None) -> dict[str, str]:
    named = {"job": job, "step": step, "code": code, "cause": cause}
    return {name: value for name, value in named.items() if value is not None}


def _chosen(letters: list[str] | None, where: dict[str, str], *, everything: bool) -> dict[str, Any]:
    if bool(letters) + bool(where) + everything != 1:
        raise CliError("which letters?", Exit.USAGE, "name some, or give --job, --step, --code or --cause, or --all")
    if letters:
        return {"letters": letters}
    return {"where": where} if where else {"all": True}


def _tell(taken: "LettersTaken", *, as_json: bool) -> None:
    if as_json:
        show_json(taken.model_dump(mode="json"))
        return
    show(f"{taken.taken} taken")
    for old, new in taken.plans.items():
        show(f"plan {old} becomes {new}")

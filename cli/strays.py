"""`headrace dlq strays list`, `show` and `discard`: dead letters that are no tenant's, for operators."""

import os
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli.configuration import postgres
from cli.errors import CliError, Exit
from cli.output import DATA_DIR, AsJson, AsLines, DataDir, note, plain, show, show_json

if TYPE_CHECKING:
    from schemas.ports import StoredLetter
    from sinks.strays import Strays

Id = Annotated[uuid.UUID, typer.Argument(help="The letter's id, as `list` prints it.", metavar="ID")]
Ids = Annotated[list[uuid.UUID], typer.Argument(help="Ids of letters.", metavar="ID")]
Step = Annotated[str | None, typer.Option(help="Only what this step or sink rejected.")]
_SHOWN = 400  # bytes of a value
T = TypeVar("T")


def register(dlq: typer.Typer) -> None:
    """Add the commands."""
    strays = typer.Typer(
        no_args_is_help=True,
        help="For operators: dead letters that are no tenant's, in the database at HEADRACE_POSTGRES.",
    )
    dlq.add_typer(strays, name="strays")
    strays.command(name="list")(listed)
    strays.command(name="show")(shown)
    strays.command()(discard)


def listed(
    *,
    step: Step = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were discarded.")] = False,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    data_dir: DataDir = DATA_DIR,
    as_json: AsLines = False,
) -> None:
    """List bytes that are no record of this platform and records of unknown jobs, newest first."""
    from cli.letter_text import LISTING
    from cli.paging import pages
    from schemas.dead_letters import LetterQuery

    where: dict[str, Any] = {"step": step, "state": () if everything else ("open",)}

    def page(given: dict[str, str]) -> Any:
        return _asked(data_dir, lambda strays: strays.listed(LetterQuery.model_validate(where | given)))

    LISTING.print(pages(page, limit, "strays"), as_json=as_json)


def shown(letter: Id, *, data_dir: DataDir = DATA_DIR, as_json: AsJson = False) -> None:
    """Show a stray letter: what happened, and its bytes as far as they can be printed."""
    found = _asked(data_dir, lambda strays: strays.one(letter))
    if found is None:
        raise CliError("there is no such stray letter", Exit.FAILED, "headrace dlq strays list --all")
    record = found.record
    raw = {"key": record.key, **dict(record.headers), "value": record.value}
    if as_json:
        told = {
            name: None if content is None else content.decode(errors="backslashreplace")
            for name, content in raw.items()
        }
        show_json(found.summary.model_dump(mode="json") | {"record": told})
        return
    _show(found, raw)


def discard(letters: Ids, *, data_dir: DataDir = DATA_DIR) -> None:
    """Close stray letters: nobody is to be shown them as open any more."""
    by = os.environ.get("USER") or f"uid {os.getuid()}"
    note(f"{_asked(data_dir, lambda strays: strays.discard(letters, by))} discarded")


def _show(letter: "StoredLetter", raw: dict[str, bytes | None]) -> None:
    from cli.letter_text import facts

    for name, value in facts(letter.summary).items():
        show(f"{name:9} {plain(str(value)) or '-'}")
    for line in letter.audit:
        show(plain(f"audit     {line.at.isoformat(timespec='seconds')} {line.action} by {line.by}"))
    for name, content in raw.items():
        size = "none" if content is None else f"{len(content)} bytes"
        show(plain(f"{name} ({size}): {(content or b'')[:_SHOWN].decode(errors='backslashreplace')}"))


def _asked(data_dir: Any, ask: "Callable[[Strays], Awaitable[T]]") -> T:
    import asyncio

    from sinks.strays import Strays

    async def answer() -> T:
        strays = Strays(postgres(data_dir))
        try:
            return await ask(strays)
        finally:
            await strays.close()

    return asyncio.run(answer())

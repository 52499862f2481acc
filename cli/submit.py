"""`headrace submit PATH…`: documents in, job ids out, and with `--wait` what became of them."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.output import AsJson, Quiet, note, plain, show, show_json
from cli.tally import Sent, Tally, as_object, tell

if TYPE_CHECKING:
    from cli.client import Client
    from cli.folders import Member

Ids = Literal["new", "path"]


@dataclass(frozen=True, slots=True)
class _Order:
    """What the options ask for; `until` (seconds of `time.monotonic`) is None where nothing is waited for."""

    lane: str
    labels: dict[str, str]
    document_id: str | None
    ids: Ids
    until: float | None
    quiet: bool
    as_json: bool

    def fields(self, member: "Member") -> dict[str, str]:
        """The fields of a document's form."""
        name = member.name if self.ids == "path" else self.document_id
        return {"lane": self.lane} | self.labels | ({} if name is None else {"document_id": name})


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    @connected
    def submit(  # noqa: PLR0913 a command's options are its interface
        connect: Connect,
        paths: Annotated[
            list[Path],
            typer.Argument(help="PDF, pictures, office files, HTML, e-mail or text; folders of them.", metavar="PATH"),
        ],
        *,
        wait: Annotated[bool, typer.Option("--wait", help="Wait until each job has ended.")] = False,
        timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 600,
        document_id: Annotated[str | None, typer.Option(help="Your name for the document (one file only).")] = None,
        ids: Annotated[
            Ids,
            typer.Option(help="`path`: documents are called by their path in the folder; again is a new revision."),
        ] = "new",
        lane: Annotated[Literal["interactive", "bulk"], typer.Option(help="How urgent it is.")] = "interactive",
        metadata: Annotated[
            list[str] | None, typer.Option(help="A pair `KEY=VALUE` to find your own things by; may be repeated.")
        ] = None,
        tag: Annotated[list[str] | None, typer.Option(help="A name to list jobs by; may be repeated.")] = None,
        plan: Annotated[
            str | None, typer.Option(help="The plan to run by, as `jobs get --result` of an earlier job tells it.")
        ] = None,
        model: Annotated[
            Literal["PP-OCRv6 small", "PP-OCRv4 mobile"] | None, typer.Option(help="What reads the pages.")
        ] = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be submitted.")] = False,
        quiet: Quiet = False,
        as_json: AsJson = False,
    ) -> None:
        """Submit documents; exits 0, or 1 when one was refused or failed, 6 when waiting took too long."""
        if document_id is not None and (ids == "path" or len(paths) > 1 or paths[0].is_dir()):
            raise typer.BadParameter("a document id names one document; submit the files one by one")
        until = time.monotonic() + timeout if wait else None
        pins = {name: value for name, value in (("plan", plan), ("model", model)) if value is not None}
        order = _Order(lane, _labels(metadata or [], tag or []) | pins, document_id, ids, until, quiet, as_json)
        tally = Tally(timed=wait)
        found = _found(paths, tally, order)
        if dry_run:
            _rehearse(found, order)
            return
        with connect() as client:
            for item in _sent(client, found, tally, order):
                tally.sent.append(item)
                tell(item, as_json=as_json)
        if as_json:
            show_json({"jobs": [as_object(item) for item in tally.sent]})
        if not quiet and (len(found) != 1 or tally.skipped):
            note(tally.summary(len(found)))
        raise typer.Exit(tally.code())


def _labels(pairs: Sequence[str], tags: Sequence[str]) -> dict[str, str]:
    """What is written on the jobs, as fields of the form."""
    if wrong := [pair for pair in pairs if not pair.partition("=")[1]]:
        raise typer.BadParameter(f"{plain(wrong[0])} is no KEY=VALUE")
    found = {"metadata": json.dumps(dict(pair.split("=", 1) for pair in pairs))} if pairs else {}
    return found | ({"tags": ",".join(tags)} if tags else {})


def _found(paths: Sequence[Path], tally: Tally, order: _Order) -> "list[Member]":
    """The documents to submit; what is left out is said."""
    from cli.folders import Member, members

    found: list[Member] = []
    for member in members(paths):
        if isinstance(member, Member):
            found.append(member)
            continue
        path, why = member
        tally.skipped[why] += 1
        if why != "hidden" and not order.quiet:
            note(f"skipped: {plain(str(path))}: {why}")
    twice = [name for name, times in Counter(member.name for member in found).items() if times > 1]
    if order.ids == "path" and twice:
        raise typer.BadParameter(
            f"two of the documents would be called {plain(twice[0])}; submit the folders one by one"
        )
    return found


def _rehearse(found: "Iterable[Member]", order: _Order) -> None:
    rows = [
        {
            "file": str(member.path),
            "document_id": order.fields(member).get("document_id"),
            "media_type": member.media or None,
        }
        for member in found
    ]
    if order.as_json:
        show_json({"files": rows})
        return
    for row in rows:
        show("\t".join(plain(value or "") for value in row.values()))


def _sent(client: "Client", found: "Sequence[Member]", tally: Tally, order: _Order) -> Iterator[Sent]:
    """Each file as it was accepted or refused, with what became of its job where that is waited for."""
    from cli.uploads import Uploads
    from cli.waiting import aside, bar

    uploads = Uploads(client, order.until)
    files = ((member.path, order.fields(member)) for member in found)
    waiting: list[Sent] = []
    with bar("files", len(found), quiet=order.quiet or len(found) == 1) as shown:
        for item in uploads.send(files):
            shown.advance(shown.task_ids[0])
            if order.until is None or item.error is not None:
                with aside(shown):
                    yield item
            else:
                waiting.append(item)
    if uploads.lost is not None:
        tally.codes.append(uploads.lost.code)
    if order.until is not None and Exit.INTERRUPTED not in tally.codes:
        yield from _ended(client, waiting, tally, order)
    else:
        yield from waiting


def _ended(client: "Client", sent: Sequence[Sent], tally: Tally, order: _Order) -> Iterator[Sent]:
    """The jobs as they end. What ends the waiting ends no job: the ids of the others are still told."""
    from cli.waiting import wait

    told = 0
    try:
        views = wait(client, [item.job for item in sent], order.until or 0, quiet=order.quiet)
        for item, view in zip(sent, views, strict=True):
            item.view = view
            yield item
            told += 1
    except KeyboardInterrupt:
        tally.codes.append(Exit.INTERRUPTED)
    except CliError as error:
        tally.codes.append(error.code)
        note(f"error: {error}")
        if error.hint:
            note(f"hint: {error.hint}")
    yield from sent[told:]

"""`headrace documents list`, `get` and `delete`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.listing import Listing, ago, text
from cli.output import AsJson, AsLines, plain, show, show_json

if TYPE_CHECKING:
    from schemas.jobs import DocumentView

Id = Annotated[str, typer.Argument(help="The document's id.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    documents = typer.Typer(help="Documents over all their revisions.", no_args_is_help=True)
    app.add_typer(documents, name="documents")
    documents.command(name="list")(listed)
    documents.command()(get)
    documents.command()(delete)


@connected
def listed(
    connect: Connect,
    *,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    as_json: AsLines = False,
) -> None:
    """List documents, newest first."""
    from cli.paging import pages

    with connect() as client:
        _LISTING.print(pages(client.documents, limit, "documents"), as_json=as_json)


@connected
def get(connect: Connect, document: Id, *, as_json: AsJson = False) -> None:
    """Show a document: its newest revision, and the one that searches find."""
    with connect() as client:
        found = client.document(document)
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    facts = {
        "document": found.document_id,
        "file": found.filename,
        "revision": found.revision,
        "state": found.state.value,
        "searched": found.current,
        "job": found.job,
        "created": found.created_at,
    }
    for name, value in facts.items():
        show(f"{name:9} {plain(text(value)) or '-'}")


@connected
def delete(
    connect: Connect,
    document: Id,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a document with all its revisions, results and index entries."""
    if not yes:
        _ask(document)
    with connect() as client:
        accepted = client.delete_document(document)
    if as_json:
        show_json(accepted.model_dump(mode="json"))
    else:
        show(f"{plain(accepted.document_id)}\tdeleting")


def _ask(document: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError("deleting wants a yes", Exit.USAGE, "give --yes where nobody can be asked")
    if not typer.confirm(f"Delete {plain(document)} with all its revisions and results?", err=True):
        raise CliError("nothing was deleted")


def _row(document: "DocumentView") -> list[str]:
    searched = "-" if document.current is None else "newest" if document.current == document.revision else "older"
    return [document.document_id, document.state.value, searched, ago(document.created_at), document.filename or "-"]


def _fields(document: "DocumentView") -> list[object]:
    return [
        document.document_id, document.revision, document.state.value, document.current, document.job,
        document.created_at, document.filename,
    ]  # fmt: skip


_LISTING = Listing(("document", "state", "searched", "age", "file"), _row, _fields, frozenset({"document", "file"}))

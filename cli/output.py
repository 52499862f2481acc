"""What the command prints: data to stdout, all else to stderr; text from documents without control characters."""

import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CliError, Exit

Url = Annotated[str | None, typer.Option("--url", envvar="HEADRACE_URL", help="The server's address.")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar="HEADRACE_API_KEY", help="The key to it.", show_default=False)
]
DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="HEADRACE_DATA_DIR", help="The embedded stack's folder, with its credentials."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
AsLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing beside the data but errors.")]
DATA_DIR = Path(".headrace")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_LONE = re.compile("[\ud800-\udfff]")


def show(line: str) -> None:
    """One line of data."""
    typer.echo(line)


def show_json(value: object) -> None:
    """One JSON object, indented where a person reads it."""
    show(_json(value, 2 if sys.stdout.isatty() else None))


def show_line(value: object) -> None:
    """One JSON object of several, on a line of its own."""
    show(_json(value, None))


def note(line: str) -> None:
    """One line beside the data."""
    typer.echo(line, err=True)


def plain(text: str) -> str:
    """`text` on one line and harmless to a terminal: a document must not move the reader's cursor."""
    return "".join(character if unicodedata.category(character) not in _UNSEEN else " " for character in text)


def _json(value: object, indent: int | None) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # A file's name may hold bytes that are no text; only escaped can they be written.
    return json.dumps(value, indent=indent) if _LONE.search(text) else text


def agree(question: str, *, yes: bool) -> None:
    """Ask, unless `yes` is given; raises `CliError` where the answer is no, or nobody can be asked."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError("sending wants a yes", Exit.USAGE, "give --yes where nobody can be asked")
    if not typer.confirm(question, err=True):
        raise CliError("nothing was sent")

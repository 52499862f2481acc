"""What the command prints: data to stdout, all else to stderr; text from documents without control characters."""

import json
import sys
import unicodedata
from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[str | None, typer.Option("--url", envvar="HEADRACE_URL", help="The server's address.")]
ApiKey = Annotated[str | None, typer.Option("--api-key", envvar="HEADRACE_API_KEY", help="The key to it.")]
DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="HEADRACE_DATA_DIR", help="Where an embedded stack keeps its credentials.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DATA_DIR = Path(".headrace")


def show(line: str) -> None:
    """One line of data."""
    typer.echo(line)


def show_json(value: object) -> None:
    """One JSON object, indented where a person reads it."""
    show(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def note(line: str) -> None:
    """One line beside the data."""
    typer.echo(line, err=True)


def plain(text: str) -> str:
    """`text` on one line and harmless to a terminal: a document must not move the reader's cursor."""
    return "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)

"""`headrace tail TOPIC`: what lies on a topic and what comes, a line a record."""

import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from cli.completion import topic_names
from cli.errors import CliError, Exit
from cli.output import DATA_DIR, AsLines, DataDir, note, plain, show, show_line


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def tail(
        topic: Annotated[
            str,
            typer.Argument(help="As `headrace.results`, or `results`.", metavar="TOPIC", autocompletion=topic_names),
        ],
        *,
        from_beginning: Annotated[bool, typer.Option("--from-beginning", help="All that is kept, then on.")] = False,
        follow: Annotated[bool, typer.Option(help="Wait for more; without it, all that is there and no more.")] = True,
        count: Annotated[int | None, typer.Option(help="End after so many records.", min=1)] = None,
        tenant: Annotated[str | None, typer.Option(help="Only records of this tenant.")] = None,
        data_dir: DataDir = DATA_DIR,
        as_json: AsLines = False,
    ) -> None:
        """Print a topic's committed records until Ctrl-C: time, kind, job, part, and a summary.

        The log is the one of HEADRACE_KAFKA, else the embedded stack's. With --json: position, key, envelope, headers
        and payload, whole.
        """
        from cli.configuration import broker
        from cli.log_reader import LogReader

        name = _known(topic)
        with LogReader(broker(data_dir), name, beginning=from_beginning or not follow) as reader:
            if follow and sys.stderr.isatty():
                note(f"-- {name}, until Ctrl-C")
            printed = _print(islice(_of(tenant, reader.messages(follow=follow)), count), as_json=as_json)
            if not printed:
                note("no records")


def _known(name: str) -> str:
    """The topic's full name; raises `CliError` naming what there is."""
    from schemas.topics import RESULTS, TOPICS

    names = [topic.name for topic in TOPICS]
    for full in (name, f"headrace.{name}"):
        if full in names or (full.startswith(f"{RESULTS.name}.") and full != f"{RESULTS.name}."):
            return full
    hint = f"there are {', '.join(names)}, and {RESULTS.name}.TENANT where a tenant has its own"
    raise CliError(f"there is no topic {plain(name)}", Exit.USAGE, hint)


def _of(tenant: str | None, messages: Iterator[Any]) -> Iterator[Any]:
    from cli import record_text

    return messages if tenant is None else (it for it in messages if record_text.tenant(it) == tenant)


def _print(messages: Iterator[Any], *, as_json: bool) -> int:
    """Print each as it comes; how many there were."""
    from rich.cells import set_cell_size

    from cli import record_text

    number = 0
    for message in messages:
        number += 1
        if as_json:
            show_line(record_text.as_object(message))
        elif sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
            show(set_cell_size(record_text.as_line(message, width), width).rstrip())
        else:
            show(record_text.as_line(message, None))
        sys.stdout.flush()
    return number

"""Waiting for jobs: each in turn by its events, with one bar for all of them."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.client import Client
from cli.errors import CliError, Exit
from cli.following import follow
from schemas.jobs import TERMINAL, JobView


def wait(client: Client, jobs: Sequence[str], until: float, *, quiet: bool = False) -> Iterator[JobView]:
    """Each job's view, in order, once it has ended or it is `until` (seconds of `time.monotonic`)."""
    with bar("jobs", len(jobs), quiet=quiet) as shown:
        for job in jobs:
            view = client.job(job, until=until)
            if view.state not in TERMINAL:
                _follow(client, job, until, shown)
                view = client.job(job, until=max(until, time.monotonic() + 1))
            shown.advance(shown.task_ids[0])
            with aside(shown):
                yield view


def bar(unit: str, total: int, *, quiet: bool = False) -> Progress:
    """A bar with one task of `total` of `unit`, on stderr and only if that is a terminal; `detail` stands behind it."""
    progress = Progress(
        BarColumn(30),
        TextColumn("{task.completed}/{task.total} " + unit),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )
    progress.add_task("", total=total, detail="")
    return progress


@contextmanager
def aside(shown: Progress) -> Iterator[None]:
    """Take a bar away for as long as something else is printed."""
    shown.stop()
    yield
    shown.start()


def _follow(client: Client, job: str, until: float, shown: Progress) -> None:
    pages, done = 0, 0
    try:
        for event in follow(client, job, until=until, known=True):
            pages = event.data.get("pages", pages)
            done += event.event == "page.succeeded"
            shown.update(shown.task_ids[0], detail=f"{done}/{pages or '?'} pages")
    except CliError as error:
        if error.code != Exit.TIMEOUT:
            raise

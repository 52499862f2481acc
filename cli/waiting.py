"""Waiting for jobs: polite polling, one progress bar a job."""

import sys
import time
from collections.abc import Iterable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.client import Client
from cli.output import plain
from schemas.jobs import TERMINAL, JobView

_FIRST, _LONGEST = 0.2, 2.0  # seconds between polls: quick for a page, rare for a book


def wait(client: Client, jobs: Iterable[tuple[str, str]], until: float) -> dict[str, JobView]:
    """The last view of each (job id, label), ended or not, by `until` (seconds of `time.monotonic`)."""
    views: dict[str, JobView] = {}
    waiting = dict(jobs)
    pause = _FIRST
    with _progress() as bars:
        shown = {job: bars.add_task(plain(label)[:40], total=None, state="queued") for job, label in waiting.items()}
        while waiting and time.monotonic() < until:
            moved = False
            for job in list(waiting):
                view = client.job(job, until=until)
                moved = moved or views.get(job) != view
                views[job] = view
                bars.update(shown[job], total=view.pages_total, completed=view.pages_done, state=view.state.value)
                if view.state in TERMINAL:
                    del waiting[job]
            pause = _FIRST if moved else min(pause * 1.5, _LONGEST)
            if waiting:
                time.sleep(max(0.0, min(pause, until - time.monotonic())))
    return views


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} pages"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )

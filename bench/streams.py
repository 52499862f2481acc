"""From a job's end to the caller who follows it: the last line of its event stream, at either API process."""

import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import psutil

from bench.machine import Span, cpu_of, tree
from deploy.local.session import Session
from schemas.jobs import ENDS

TITLE = "A job ended, and its follower knows"
JOBS = 200
LIMIT_MS = 150.0  # of the 95th percentile


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Jobs of one short page with engines that take no time, each followed from its begin; milliseconds."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Session(Path(folder) / "stack", {"HEADRACE_ENGINES": "fake"}) as stack,
    ):
        ours = _cpu(stack)
        span = Span()
        with httpx2.Client(headers=stack.headers(), timeout=30) as client:
            servers = itertools.cycle(stack.own_urls())
            waits = [_followed(client, next(servers), next(servers), number) for number in range(JOBS + 10)][10:]
        quiet = span.end(_cpu(stack) - ours)["conclusive"]
    cuts = statistics.quantiles(waits, n=100)
    result = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "worst": max(waits), "jobs": JOBS, "limit": LIMIT_MS}
    say(", ".join(f"{name} {result[name]:.1f} ms" for name in ("p50", "p95", "p99", "worst")))
    held = "held" if result["p95"] <= LIMIT_MS else "missed"
    return {**result, "verdict": held if quiet else "inconclusive"}


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    return [
        f"{result['jobs']} jobs of one page, engines that take no time. From the event that ended the job (made by the",
        "index, before the log and the projector saw it) to its line in the event stream at the API process that did",
        "not accept the job.",
        "",
        "| p50 | p95 | p99 | worst |",
        "|---|---|---|---|",
        "| " + " | ".join(f"{result[name]:.1f} ms" for name in ("p50", "p95", "p99", "worst")) + " |",
        "",
        f"Limit of p95: {result['limit']:.0f} ms: {result['verdict']}.",
    ]


def _followed(client: httpx2.Client, here: str, there: str, number: int) -> float:
    """Submit to one API process, follow at the other; milliseconds from the end to its line."""
    file = ("note.txt", f"Note {number}: the pump was checked.".encode())
    answer = client.post(f"{here}/v1/jobs", files={"file": file})
    answer.raise_for_status()
    with client.stream("GET", f"{there}{answer.headers['location']}/events") as stream:
        stream.raise_for_status()
        for line in stream.iter_lines():
            if line.startswith("data:"):
                event = json.loads(line[5:])
                if event["event"] in ENDS:
                    return (time.time() - datetime.fromisoformat(event["at"]).timestamp()) * 1000
    raise RuntimeError("the stream ended before the job did")


def _cpu(stack: Session) -> float:
    return sum(cpu_of([*tree(stack.pid), psutil.Process()]).values())

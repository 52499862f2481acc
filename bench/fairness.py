"""What a tenant with 50,000 pages costs its neighbours: short jobs beside them, over the same jobs on an idle stack."""

import itertools
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from bench.crowd import SHORT, Crowd, Waiter, percentile95
from bench.machine import Span, cpu_of, tree
from deploy.local.session import Session

TITLE = "Nobody starved: short jobs beside 50,000 pages"
SETTINGS = {"HEADRACE_ENGINES": "sleep:0.25", "HEADRACE_OCR_WORKERS": "2"}
JOBS = 25
"""Short jobs of each kind and phase."""
LIMIT = 2.0
LIMIT_DISPATCH = 0.1
"""Most of an idle interactive job's time that it may wait for the dispatcher."""
LIMIT_MEMORY_MB = 20.0
BULK, FLOOD = (50, 1000), (500, 100)  # documents, and pages of each: 50,000 twice

HERS_FIRST, HERS_BULK = Waiter("other", "interactive"), Waiter("other", "bulk")
OWN_FIRST = Waiter("demo", "interactive")
NAMES = {
    HERS_FIRST: "another tenant's interactive job",
    HERS_BULK: "another tenant's job in the bulk lane",
    OWN_FIRST: "the same tenant's interactive job",
}
BESIDE: dict[str, tuple[Waiter, ...]] = {
    "bulk": (HERS_FIRST, HERS_BULK, OWN_FIRST),
    "flood": (HERS_FIRST, HERS_BULK),
}


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Short jobs on the idle stack, beside a tenant's 50,000 pages in bulk, and beside 50,000 more as interactive."""
    with tempfile.TemporaryDirectory() as folder, Session(Path(folder) / "stack", SETTINGS) as stack:
        crowd = Crowd(stack)
        span, ours = Span(), _cpu(stack)
        found = measured(crowd, JOBS, {"bulk": BULK, "flood": FLOOD}, say)
        quiet = span.end(_cpu(stack) - ours)["conclusive"]
    ratios = [case["ratio"] for case in found["cases"]]
    memory = found["memory_mb"]
    held = max(ratios) <= LIMIT and found["dispatch_share"] <= LIMIT_DISPATCH
    held = held and max(memory.values()) - memory["idle"] <= LIMIT_MEMORY_MB
    return {**found, "verdict": ("held" if held else "missed") if quiet else "inconclusive"}


def measured(crowd: Crowd, jobs: int, floods: dict[str, tuple[int, int]], say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of each kind of job, idle and beside each of `floods`; raises where a backlog did not last."""
    idle = _seen(crowd, list(NAMES), jobs)
    dispatch = crowd.dispatching()
    share = statistics.median(dispatch) / 1000 / statistics.median(idle[HERS_FIRST])
    say(f"dispatcher {statistics.median(dispatch):.0f} ms, p95 {percentile95(dispatch):.0f} ms: {share:.1%} of a job")
    memory, cases = {"idle": crowd.dispatcher_mb()}, []
    for flood, (documents, pages) in floods.items():
        crowd.flood("demo", "interactive" if flood == "flood" else "bulk", documents, pages)
        memory[flood] = crowd.dispatcher_mb()
        beside = _seen(crowd, BESIDE[flood], jobs)
        if not crowd.backlog_stands():
            raise RuntimeError(f"the {flood} was worked off too soon: nothing was measured beside it")
        cases += [_compared(flood, waiter, idle[waiter], seconds, say) for waiter, seconds in beside.items()]
    memory["end"] = crowd.dispatcher_mb()
    waits = {"dispatch_ms": statistics.median(dispatch), "dispatch_share": share}
    return {"cases": cases, **waits, "memory_mb": memory, "jobs": jobs}


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    rows = [
        f"| {case['who']} | {case['beside']} | {case['idle'][0]:.2f} | {case['idle'][1]:.2f}"
        f" | {case['loaded'][0]:.2f} | {case['loaded'][1]:.2f} | {case['ratio']:.2f} |"
        for case in result["cases"]
    ]
    memory = ", ".join(f"{when} {megabytes:.0f} MB" for when, megabytes in result["memory_mb"].items())
    return [
        f"Jobs of {SHORT} pages, one by one, {result['jobs']} of each kind, from submission to the end in their event",
        "stream; two OCR workers of 0.25 s a page. First on the idle stack, then beside a tenant's 50,000 pages in the",
        "bulk lane, then beside 50,000 more of that tenant as interactive jobs. Seconds.",
        "",
        "| job | beside | idle p50 | idle p95 | p50 | p95 | p95 over idle |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"An idle interactive job waits {result['dispatch_ms']:.0f} ms for the dispatcher (median),"
        f" {result['dispatch_share']:.1%} of its time (limit {LIMIT_DISPATCH:.0%}).",
        f"The dispatcher's memory: {memory}.",
        f"Limit of p95 over idle: {LIMIT:.1f}: {result['verdict']}.",
    ]


def _seen(crowd: Crowd, waiters: Sequence[Waiter], jobs: int) -> dict[Waiter, list[float]]:
    """Kinds interleaved; the first of each warms the way and is not counted."""
    seen: dict[Waiter, list[float]] = {waiter: [] for waiter in waiters}
    for _, waiter in itertools.product(range(jobs + 1), waiters):
        seen[waiter].append(crowd.timed(waiter))
    return {waiter: seconds[1:] for waiter, seconds in seen.items()}


def _compared(
    flood: str, waiter: Waiter, idle: list[float], loaded: list[float], say: Callable[[str], None]
) -> dict[str, Any]:
    both = [(statistics.median(seconds), percentile95(seconds)) for seconds in (idle, loaded)]
    case = {"who": NAMES[waiter], "beside": flood, "idle": both[0], "loaded": both[1], "ratio": both[1][1] / both[0][1]}
    say(
        f"{case['who']} beside {flood}: p50 {both[0][0]:.2f} to {both[1][0]:.2f} s,"
        f" p95 {both[0][1]:.2f} to {both[1][1]:.2f} s, {case['ratio']:.2f} times"
    )
    return case


def _cpu(stack: Session) -> float:
    return sum(cpu_of([*tree(stack.pid), psutil.Process()]).values())

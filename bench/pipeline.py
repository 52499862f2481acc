"""The whole way over the tuned bare loop, wall and CPU, in interleaved rounds."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from bench.bare import BareLoop
from bench.machine import Span, cpu_of, resident, tree
from deploy.local.samples import letters
from deploy.local.session import Session
from deploy.local.stack import ENGINES

TITLE = "The whole way over a bare loop"
DOCUMENTS, PAGES = 5, 4  # 20 pages, as a caller sends them: several short documents
ROUNDS = 3
CORES = 2
LIMIT = 1.10
POLL_SECONDS = 0.25  # as `headrace submit --wait` asks; it is part of what is timed


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Interleave bare loop and platform; medians of each round's ratios, and what each process holds in memory."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # both sides inherit it: as many processes, on the same cores
    os.environ |= {"HEADRACE_OCR_WORKERS": str(len(cores)), **ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"letter-{number}.pdf" for number in range(DOCUMENTS)]
        for file in files:
            letters(file, PAGES)
        pages = [(file, index) for file in files for index in range(PAGES)]
        with Session(Path(folder) / "stack") as stack:
            bare = BareLoop(sum(slot.startswith("ocr-") for slot in stack.pids()))
            try:
                bare.run(pages[:2])
                _platform(stack, files[:1])  # both sides warm
                rounds = [_round(bare, stack, files, pages, say) for _ in range(ROUNDS)]
            finally:
                bare.close()
            memory = {slot: resident(pid) for slot, pid in stack.pids().items()}
    result = {"rounds": rounds, "limit": LIMIT, "memory_mb": memory, **_verdict(rounds)}
    say(f"median ratio {result['ratio']['wall']:.3f} wall, {result['ratio']['cpu']:.3f} CPU: {result['verdict']}")
    return result


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    rounds = [
        f"| {number} | {r['bare']['wall']:.1f} | {r['platform']['wall']:.1f} | {r['ratio']['wall']:.3f}"
        f" | {r['bare']['cpu']:.1f} | {r['platform']['cpu']:.1f} | {r['ratio']['cpu']:.3f} |"
        for number, r in enumerate(result["rounds"], 1)
    ]
    memory = [f"| {name} | {megabytes:.0f} |" for name, megabytes in sorted(result["memory_mb"].items())]
    return [
        "20 rendered A4 pages in 5 documents, real engines, warm stack, first POST to last `succeeded`, over the",
        "same engines in a tuned loop with one process a core on the same cores; interleaved rounds, seconds.",
        "",
        "| round | bare wall | platform wall | ratio | bare CPU | platform CPU | ratio |",
        "|---|---|---|---|---|---|---|",
        *rounds,
        "",
        f"Median ratio: wall {result['ratio']['wall']:.3f}, CPU {result['ratio']['cpu']:.3f};",
        f"limit {result['limit']:.2f}: {result['verdict']}.",
        "",
        "Resident memory after the rounds, of each process with its children:",
        "",
        "| process | MB |",
        "|---|---|",
        *memory,
    ]


def _round(
    bare: BareLoop, stack: Session, files: list[Path], pages: list[tuple[Path, int]], say: Callable[[str], None]
) -> dict[str, Any]:
    floor, subject = bare.run(pages), _platform(stack, files)
    ratio = {kind: subject[kind] / floor[kind] for kind in ("wall", "cpu")}
    say(
        f"bare {floor['wall']:.1f} s wall {floor['cpu']:.1f} s CPU"
        f" · platform {subject['wall']:.1f} s {subject['cpu']:.1f} s"
        f" · ratio {ratio['wall']:.3f} wall {ratio['cpu']:.3f} CPU"
        f"\n      of it {', '.join(f'{slot} {cpu:.1f}' for slot, cpu in subject['cpu_by_slot'].items())}"
        f"\n      neighbours {floor['neighbours']:.0%} and {subject['neighbours']:.0%}"
    )
    return {"bare": floor, "platform": subject, "ratio": ratio}


def _platform(stack: Session, files: list[Path]) -> dict[str, Any]:
    processes = tree(stack.pid)
    before = cpu_of(processes)
    span = Span()
    with httpx2.Client(base_url=stack.url, headers=stack.headers(), timeout=30) as client:
        jobs = []
        for file in files:
            answer = client.post("/v1/jobs", files={"file": (file.name, file.read_bytes())})
            answer.raise_for_status()
            jobs.append(answer.headers["location"])
        for job in jobs:
            while (state := client.get(job).json()["state"]) != "succeeded":
                if state not in ("queued", "running"):
                    raise RuntimeError(f"{job} ended {state}")
                time.sleep(POLL_SECONDS)
    after = cpu_of(processes)
    spent = {pid: after[pid] - before.get(pid, 0.0) for pid in after}
    slots = {slot: sum(spent.get(member.pid, 0.0) for member in tree(pid)) for slot, pid in stack.pids().items()}
    return {**span.end(sum(spent.values())), "cpu_by_slot": slots}


def _verdict(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    counted = [r for r in rounds if r["bare"]["conclusive"] and r["platform"]["conclusive"]]
    ratios = {kind: statistics.median(r["ratio"][kind] for r in counted or rounds) for kind in ("wall", "cpu")}
    held = all(value <= LIMIT for value in ratios.values())
    return {"ratio": ratios, "verdict": ("held" if held else "missed") if counted else "inconclusive"}

"""Histories by the thousand, on several processes."""

import argparse
import itertools
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.simulation.history import of_seed

BATCH = 10
WAIT_SECONDS = 120
Batch = tuple[Counter[str], list[tuple[int, str]]]


def say(line: str) -> None:
    """A line for whoever ran the command."""
    sys.stdout.write(f"{line}\n")


def run(given: argparse.Namespace) -> int:
    """Histories as the command line says, until one breaks a promise: then 1."""
    of_seed(0)  # what is loaded late is loaded here, and not in the first history's time
    began = time.monotonic()
    totals, failures = Counter[str](), list[tuple[int, str]]()
    for counted, failed in _here(given, 0) if given.processes == 1 else _beside(given):
        totals += counted
        failures += failed
        if failures:
            break
    took = time.monotonic() - began
    count = totals.pop("histories")
    say(f"{count} histories in {took:.1f} s: {count / took * 60:.0f} a minute by {given.processes} processes")
    say("one holds " + ", ".join(f"{number / count:.1f} {what}" for what, number in totals.items()))
    for seed, violation in sorted(failures)[:5]:
        say(f"VIOLATED {violation}; again: python -m tests.simulation --seed {seed}")
    return 1 if failures else 0


def _beside(given: argparse.Namespace) -> Iterator[Batch]:
    """Each process takes every so many-th batch of seeds."""
    context = multiprocessing.get_context("fork")
    said: multiprocessing.Queue[Batch | None] = context.Queue()
    workers = [context.Process(target=_work, args=(given, n, said), daemon=True) for n in range(given.processes)]
    for worker in workers:
        worker.start()
    try:
        running = len(workers)
        while running:
            batch = said.get(timeout=WAIT_SECONDS)
            if batch is None:
                running -= 1
            else:
                yield batch
    finally:
        for worker in workers:
            worker.terminate()


def _work(given: argparse.Namespace, number: int, said: "multiprocessing.Queue[Batch | None]") -> None:
    for batch in _here(given, number):
        said.put(batch)
    said.put(None)


def _here(given: argparse.Namespace, number: int) -> Iterator[Batch]:
    began = time.monotonic()
    for place in itertools.count():
        first = given.start + (place * given.processes + number) * BATCH
        last = first + BATCH if given.count is None else min(first + BATCH, given.start + given.count)
        if first >= last or (given.count is None and time.monotonic() - began > given.seconds):
            return
        yield _batch(range(first, last))


def _batch(seeds: range) -> Batch:
    counted, failed = Counter(histories=len(seeds)), []
    for seed in seeds:
        history = of_seed(seed)
        counted["jobs"] += len(history.plan.jobs)
        counted["pages"] += sum(len(job.pages) for job in history.plan.jobs)
        counted["faults"] += len(history.plan.faults)
        for what in ("starts", "deaths", "rebalances", "records", "steps", "seconds"):
            counted[what] += int(getattr(history, what))
        failed += [(seed, violation) for violation in history.violations]
    return counted, failed

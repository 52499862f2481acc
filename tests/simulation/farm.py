"""Histories by the thousand, on several processes."""

import argparse
import itertools
import multiprocessing
import sys
import time

from tests.simulation.history import of_seed

BATCH = 10
Batch = tuple[int, int, int, int, int, list[tuple[int, str]]]


def say(line: str) -> None:
    """A line for whoever ran the command."""
    sys.stdout.write(f"{line}\n")


def run(given: argparse.Namespace) -> int:
    """Histories as the command line says, each process every so many-th batch of seeds; 1 where one broke a promise."""
    context = multiprocessing.get_context("spawn")
    said: multiprocessing.Queue[Batch | None] = context.Queue()
    arguments = [(given, number, said) for number in range(given.processes)]
    workers = [context.Process(target=_work, args=each, daemon=True) for each in arguments]
    for worker in workers:
        worker.start()
    began, running = 0.0, len(workers)
    totals, failures = [0, 0, 0, 0, 0], []
    while running and not failures:
        batch = said.get(timeout=120)
        began = began or time.monotonic()  # the first batch of each is for its imports
        if batch is None:
            running -= 1
            continue
        *counted, failed = batch
        totals = [total + more for total, more in zip(totals, counted, strict=True)]
        failures += failed
    took = time.monotonic() - began
    for worker in workers:
        worker.terminate()
    count, jobs, faults, deaths, rebalances = totals
    say(
        f"{count} histories in {took:.1f} s: {count / took * 60:.0f} a minute by {given.processes} processes; "
        f"{jobs} jobs, {faults} faults, {deaths} deaths, {rebalances} rebalances"
    )
    for seed, violation in sorted(failures)[:5]:
        say(f"VIOLATED {violation}; again: python -m tests.simulation --seed {seed}")
    return 1 if failures else 0


def _work(given: argparse.Namespace, number: int, said: "multiprocessing.Queue[Batch | None]") -> None:
    of_seed(0)
    said.put((0, 0, 0, 0, 0, []))
    began = time.monotonic()
    for place in itertools.count():
        first = given.start + (place * given.processes + number) * BATCH
        last = first + BATCH if given.count is None else min(first + BATCH, given.start + given.count)
        if first >= last or (given.count is None and time.monotonic() - began > given.seconds):
            break
        said.put(_batch(range(first, last)))
    said.put(None)


def _batch(seeds: range) -> Batch:
    jobs = faults = deaths = rebalances = 0
    failed = []
    for seed in seeds:
        history = of_seed(seed)
        jobs += len(history.plan.jobs)
        faults += len(history.plan.faults)
        deaths += history.deaths
        rebalances += history.rebalances
        failed += [(seed, violation) for violation in history.violations]
    return len(seeds), jobs, faults, deaths, rebalances, failed

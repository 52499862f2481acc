"""`make faults`: every row on a real stack, one table. ROWS="1 8 16" runs only those; RUNS=3 each so often."""

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench import machine
from tests.faults import seeds, table
from tests.faults.rows import ROWS
from tests.faults.suite import Outcome, Row, impossible, run
from tests.faults.world import Plan, World

PAGE = Path("docs/faults.md")
KEPT = Path("build/faults")
"""Where the logs lie of a world in which a row failed."""


def main() -> int:
    """Run, print, write; 1 where a row did not show what it promises. A part of the rows leaves the page alone."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, choices=[*ROWS, []], metavar="ROW")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--page", type=Path, help="where the table is written; docs/faults.md after all rows")
    asked = parser.parse_args()
    console = Console()
    rows = [ROWS[number] for number in sorted(asked.rows or ROWS)]
    about, began = machine.describe(), time.monotonic()
    outcomes, left_out = _all(rows, asked.runs, console)
    console.print(table.of(outcomes, left_out))
    page = asked.page or (None if asked.rows else PAGE)
    if page is not None:
        page.write_text(table.page(outcomes, left_out, about, time.monotonic() - began))
        console.print(f"written to {page}")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _all(rows: list[Row], runs: int, console: Console) -> tuple[list[Outcome], dict[Row, str]]:
    left_out = {row: reason for row in rows if (reason := impossible(row))}
    plans: dict[Plan, list[Row]] = defaultdict(list)
    for row in rows:
        if row not in left_out:
            plans[row.plan].append(row)
    outcomes = []
    for plan, own in plans.items():
        for outcome in _in_turn(plan, [(row, number) for row in own for number in range(runs)]):
            console.print(table.line(outcome))
            outcomes.append(outcome)
    return sorted(outcomes, key=lambda outcome: outcome.row.number), left_out


def _in_turn(plan: Plan, wanted: list[tuple[Row, int]]) -> Iterator[Outcome]:
    """Run rows on one world, and after each that failed on a new one: what it left may not be whole."""
    while wanted:
        with tempfile.TemporaryDirectory(prefix="headrace-faults-") as folder, World(Path(folder), plan) as world:
            whole = True
            while wanted and whole:
                row, number = wanted.pop(0)
                outcome = run(row, world, seeds.of(number))
                whole = outcome.passed
                if not whole:
                    _keep(world, KEPT / f"row-{row.number}")
                yield outcome


def _keep(world: World, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("logs", "run"):
        shutil.copytree(world.stack.folder / name, folder / name)


if __name__ == "__main__":
    raise SystemExit(main())

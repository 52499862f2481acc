"""`make faults`: every row on a real stack, one table. ROWS="1 8 16" runs only those; RUNS=3 each so often."""

import argparse
import json
import shutil
import tempfile
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
STORE = Path("build/faults.json")
"""What the page is made of."""
KEPT = Path("build/faults")
"""Where the logs lie of a world in which a row failed."""


def main() -> int:
    """Run, print, write; 1 where a row did not show what it promises.

    A part of the rows replaces those on the page, where all were run before.
    """
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, choices=[*ROWS, []], metavar="ROW")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--page", type=Path, help="where the table is written; docs/faults.md after all rows")
    asked = parser.parse_args()
    console = Console()
    rows = [ROWS[number] for number in sorted(asked.rows or ROWS)]
    about = machine.describe()
    outcomes, left_out = _all(rows, asked.runs, console)
    console.print(table.of(outcomes, left_out))
    entries = table.entries(outcomes, about)
    if asked.rows and not asked.page:
        entries = json.loads(STORE.read_text()) | entries if STORE.exists() else {}
    if entries:
        page = asked.page or PAGE
        page.write_text(table.page(entries, left_out, about))
        console.print(f"written to {page}")
    if entries and not asked.page:
        STORE.parent.mkdir(parents=True, exist_ok=True)
        STORE.write_text(json.dumps(entries))
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

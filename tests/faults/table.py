"""The table of a fault run, as people see it and as `docs/faults.md` keeps it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from tests.faults import seeds
from tests.faults.suite import Outcome, Row

_HEAD = (
    "row",
    "fault",
    "runs",
    "jobs",
    "pages",
    "handler",
    "sink",
    "commit",
    "any",
    "lost",
    "doubled",
    "repeats",
    "back",
    "took",
)
_WINDOWS = (("handler",), ("sink", "decided"), ("commit", "released"), ("any", "committed"))
"""Which windows count in which of the four columns: the dispatcher decides, then publishes, then forgets."""


def of(outcomes: Sequence[Outcome], left_out: Mapping[Row, str]) -> Table:
    """For a terminal, of 80 columns too: kills in one column, repeats as their number."""
    table = Table(title="What faults cost", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for name in ("row", "fault", "jobs", "pages", "killed", "lost", "doubled", "repeats", "back", "took"):
        table.add_column(name, justify="left" if name == "fault" else "right", no_wrap=name != "fault")
    for runs, cells in zip(_by_row(outcomes).values(), _rows(outcomes), strict=True):
        number, name, _, jobs, pages, *killed, lost, doubled, _, back, took = cells
        repeats = str(sum(one.verdict.repeats.total() for one in runs))
        style = None if all(one.passed for one in runs) else "red"
        table.add_row(number, name, jobs, pages, "/".join(killed), lost, doubled, repeats, back, took, style=style)
    for row, reason in left_out.items():
        table.add_row(str(row.number), f"{row.name}: {reason}", style="yellow")
    table.caption = "killed: within a handler / a sink / a commit / at any other moment"
    return table


def line(outcome: Outcome) -> str:
    """What a row that has just run came to."""
    said = "passed" if outcome.passed else f"FAILED {outcome.fault}\n{outcome.verdict.told()}"
    told = f" ({'; '.join(outcome.told)})" if outcome.told else ""
    return f"{outcome.row.number:>3} {outcome.row.name}: {said}, {outcome.seconds:.0f} s{told}"


def entries(outcomes: Sequence[Outcome], about: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """By row's number, what the page says of it, and of which run that is."""
    dirty = ", with changes not committed" if about["dirty"] else ""
    return {
        str(row.number): {
            "cells": cells,
            "told": [told for one in runs for told in one.told],
            "faults": [one.fault or "see above" for one in runs if not one.passed],
            "run": f"{about['at']}, commit {str(about['commit'])[:12]}{dirty}",
        }
        for (row, runs), cells in zip(_by_row(outcomes).items(), _rows(outcomes), strict=True)
    }


def page(known: Mapping[str, Mapping[str, Any]], left_out: Mapping[Row, str], about: Mapping[str, object]) -> str:
    """For `docs/`, made of `entries` of one run or several."""
    rows = [known[number] for number in sorted(known, key=int)]
    named = [(f"{row['cells'][0]}, {row['cells'][1]}", row) for row in rows]
    runs = {str(row["run"]): [one["cells"][0] for one in rows if one["run"] == row["run"]] for row in rows}
    first = max(runs, key=lambda run: len(runs[run]))
    lines = [
        "# What faults cost",
        "",
        f"Written by `make faults` on {about['cores']} cores ({about['machine']}), Python {about['python']}, "
        f"seed {seeds.of()}: {first}.",
        *(f"Rows run again alone (`make faults ROWS=…`): {', '.join(own)} on {run}."
          for run, own in sorted(runs.items()) if run != first),
        "",
        "Each row breaks a whole stack (Kafka, PostgreSQL, Weaviate, every process) while documents come in, then",
        "reads the topics, the tables and the indexes, and judges each page by its id (`tests/faults/verdict.py`).",
        "",
        "- **handler, sink, commit**: kills before the work, between a sink's write and its answer, between answer and",
        "  commit (of the dispatcher also between decision and publication, publication and forgetting), each logged",
        "  with its record in flight; **any**: at any other moment.",
        "- **lost**: jobs without an end, pages without an outcome, passages that an index lacks, ends not announced,",
        "  dead letters without a row.",
        "- **doubled**: results, passages or announcements twice, or of no event.",
        "- **repeats**: records of the same id once more on a topic: work done again, without effect.",
        "- **back**: seconds until the slowest process that was killed worked again.",
        "- **took**: all of the row, its judgement too.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'|'.join(' --- ' for _ in _HEAD)}|",
        *(f"| {' | '.join(row['cells'])} |" for row in rows),
    ]  # fmt: skip
    parts = {
        "Not run here:": [f"- {row.number}, {row.name}: {why}." for row, why in left_out.items()],
        "What was measured besides:": [f"- {name}: {'; '.join(row['told'])}." for name, row in named if row["told"]],
        "Not as promised:": [f"- {name}: {'; '.join(row['faults'])}." for name, row in named if row["faults"]],
    }
    for title, told in parts.items():
        lines += ["", title, "", *told] if told else []
    return "\n".join([*lines, ""])


def _by_row(outcomes: Iterable[Outcome]) -> dict[Row, list[Outcome]]:
    by_row: dict[Row, list[Outcome]] = {}
    for outcome in outcomes:
        by_row.setdefault(outcome.row, []).append(outcome)
    return by_row


def _rows(outcomes: Iterable[Outcome]) -> Iterable[tuple[str, ...]]:
    for row, runs in _by_row(outcomes).items():
        hits: Counter[str] = sum((one.hits() for one in runs), Counter())
        repeats: Counter[str] = sum((one.verdict.repeats for one in runs), Counter())
        back = max((kill.recovery for one in runs for kill in one.kills), default=None)
        verdicts = [one.verdict for one in runs]
        yield (
            str(row.number), row.name, str(len(runs)), str(sum(one.jobs for one in runs)),
            str(sum(verdict.parts for verdict in verdicts)),
            *(str(sum(hits[window] for window in windows)) for windows in _WINDOWS),
            str(sum(len(verdict.lost) + len(verdict.early) for verdict in verdicts)),
            str(sum(len(verdict.doubled) + len(verdict.strayed) for verdict in verdicts)),
            ", ".join(f"{topic.removeprefix('headrace.')} {count}" for topic, count in repeats.items()) or "0",
            "" if back is None else f"{back:.1f} s",
            f"{sum(one.seconds for one in runs):.0f} s",
        )  # fmt: skip

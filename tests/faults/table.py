"""The table of a fault run, as people see it and as `docs/faults.md` keeps it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

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
    """For a terminal."""
    table = Table(title="What faults cost")
    for name in _HEAD:
        table.add_column(name, justify="left" if name == "fault" else "right")
    wrong = {str(outcome.row.number) for outcome in outcomes if not outcome.passed}
    for cells in _rows(outcomes):
        table.add_row(*cells, style="red" if cells[0] in wrong else None)
    for row, reason in left_out.items():
        table.add_row(str(row.number), f"{row.name}: {reason}", style="yellow")
    return table


def line(outcome: Outcome) -> str:
    """What a row that has just run came to."""
    said = "passed" if outcome.passed else f"FAILED {outcome.fault}\n{outcome.verdict.told()}"
    told = f" ({'; '.join(outcome.told)})" if outcome.told else ""
    return f"{outcome.row.number:>3} {outcome.row.name}: {said}, {outcome.seconds:.0f} s{told}"


def page(outcomes: Sequence[Outcome], left_out: Mapping[Row, str], about: Mapping[str, object], seconds: float) -> str:
    """For `docs/`."""
    dirty = ", with changes not committed" if about["dirty"] else ""
    lines = [
        "# What faults cost",
        "",
        f"Written by `make faults` on {about['at']}, {about['cores']} cores ({about['machine']}), "
        f"Python {about['python']}, commit {str(about['commit'])[:12]}{dirty}, seed {seeds.of()}, {seconds:.0f} s.",
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
        *(f"| {' | '.join(cells)} |" for cells in _rows(outcomes)),
    ]
    if left_out:
        lines += ["", "Not run here:", "", *(f"- {row.number}, {row.name}: {why}." for row, why in left_out.items())]
    if measured := [outcome for outcome in outcomes if outcome.told]:
        lines += ["", "What was measured besides:", ""]
        lines += [f"- {outcome.row.number}, {outcome.row.name}: {'; '.join(outcome.told)}." for outcome in measured]
    if failed := [outcome for outcome in outcomes if not outcome.passed]:
        lines += ["", "Not as promised:", ""]
        lines += [f"- {outcome.row.number}, {outcome.row.name}: {outcome.fault or 'see above'}." for outcome in failed]
    return "\n".join([*lines, ""])


def _rows(outcomes: Iterable[Outcome]) -> Iterable[tuple[str, ...]]:
    by_row: dict[Row, list[Outcome]] = {}
    for outcome in outcomes:
        by_row.setdefault(outcome.row, []).append(outcome)
    for row, runs in by_row.items():
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

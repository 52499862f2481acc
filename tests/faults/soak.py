"""`make soak HOURS=2`: load, a kill a minute of any role, and whether any process grows or anything is lost.

A step of two megabytes, had once, reads as four an hour in forty minutes, and as one in a hundred: with HALF=1 only one
half of the processes is killed, and the other lives the whole time; HALF=2 is the other way round. The page holds both.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench import machine
from tests.faults import seeds
from tests.faults.feeder import Feeder
from tests.faults.killer import Killer
from tests.faults.slopes import Growth, Sample, growths
from tests.faults.suite import settle
from tests.faults.verdict import Verdict, judge
from tests.faults.world import PLAIN, World

PAGE = Path("docs/soak.md")
STORE = Path("docs/soak.json")
"""What the page is made of: kept beside it, since its halves may be run on different days."""
LIMIT = 2.0
"""Most megabytes an hour by which a process may grow, beyond what chance alone explains (two standard errors)."""
_SAMPLE_SECONDS, _KILL_SECONDS = 5.0, 60.0
_WARM_SECONDS = 1200.0
"""The start of a life, no growth: until every path was taken and every pool has its size."""
_KEEPERS = frozenset({"kafka", "postgres", "weaviate"})
"""Servers that keep what is fed to them: they grow with it, and are shown, not judged."""
_HEAD = ("process", "run", "lives", "at the end", "at most", "MB an hour")


def main() -> int:
    """Run, print, write; 1 where something was lost or doubled, or a process grew."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--half", type=int, choices=(1, 2), help="kill only this half of the processes")
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    about, began = machine.describe(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headrace-soak-") as folder, World(Path(folder), PLAIN) as world:
        killer = Killer(world.stack, world.servers)
        feeder = Feeder(world, random.Random(seeds.of()), every=2.0, least=0)
        halves = _halves(world)
        victims = halves if asked.half is None else (halves[asked.half - 1],)
        samples = _work(world, feeder, killer, asked.hours * 3600, victims)
        settle(world, feeder.accepted, 300)
        verdict = judge(asyncio.run(world.history()), feeder.accepted, world.plan.indexes)
    warm = min(_WARM_SECONDS, asked.hours * 3600 / 6)
    found = growths(samples, warm)
    if asked.half is not None:
        found = [one for one in found if one.slot not in halves[asked.half - 1]]
    summary = _summary(verdict, killer, len(feeder.accepted), time.monotonic() - began)
    console = Console()
    console.print(_table(found))
    console.print(*summary, verdict.told(), sep="\n")
    known = _known(found, {"told": summary, "half": asked.half, **about})
    asked.page.write_text(_page(known, about, warm))
    return 0 if verdict.clean and not any(map(_grows, found)) else 1


def _halves(world: World) -> tuple[list[str], ...]:
    chance = random.Random(seeds.of())
    names = sorted({*world.stack.pids(), *world.servers})
    chance.shuffle(names)
    return names[::2], names[1::2]


def _work(
    world: World, feeder: Feeder, killer: Killer, seconds: float, victims: Sequence[Sequence[str]]
) -> list[Sample]:
    """A kill a minute of the first victims, then of the next ones: each has an equal part of the time."""
    chance = random.Random(seeds.of())
    samples: list[Sample] = []
    began = time.monotonic()
    next_kill = _KILL_SECONDS
    feeder.start()
    while (at := time.monotonic() - began) < seconds:
        samples += _sample(world, at)
        if at >= next_kill:
            next_kill += _KILL_SECONDS
            killer.anywhere(chance.choice(victims[int(len(victims) * at / seconds)]), chance)
        time.sleep(_SAMPLE_SECONDS)
    feeder.stop()
    return samples


def _sample(world: World, at: float) -> Iterator[Sample]:
    pids = {"supervisor": world.stack.pid, **world.stack.pids()}
    for slot, pid in (pids | {name: held.pid for name, held in world.servers.items()}).items():
        try:
            yield Sample(slot, pid, at, psutil.Process(pid).memory_info().rss / 1e6)
        except psutil.NoSuchProcess:  # it was killed a moment ago
            continue


def _grows(growth: Growth) -> bool:
    if growth.slope is None or growth.slot in _KEEPERS:
        return False
    return growth.slope - 2 * growth.error > LIMIT


def _summary(verdict: Verdict, killer: Killer, jobs: int, seconds: float) -> list[str]:
    hits = ", ".join(f"{window} {count}" for window, count in sorted(killer.windows().items()))
    slowest = max((kill.recovery for kill in killer.log if not kill.server), default=0.0)
    return [
        f"{seconds:.0f} s, {jobs} jobs, {verdict.parts} pages, {len(killer.log)} kills ({hits});",
        f"lost {len(verdict.lost) + len(verdict.early)}, doubled {len(verdict.doubled) + len(verdict.strayed)}, "
        f"{verdict.repeats.total()} records of work done again; slowest back after {slowest:.1f} s.",
    ]


def _cells(one: Growth) -> tuple[str, ...]:
    slope = "too short to tell" if one.slope is None else f"{one.slope:+.1f} ± {2 * one.error:.1f}"
    return str(one.lives), f"{one.last:.0f} MB", f"{one.most:.0f} MB", slope


def _table(found: list[Growth]) -> Table:
    table = Table(title="Resident memory")
    for name in (_HEAD[0], *_HEAD[2:]):
        table.add_column(name, justify="left" if name == "process" else "right")
    for one in found:
        table.add_row(one.slot, *_cells(one), style="red" if _grows(one) else None)
    return table


def _known(found: list[Growth], run: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of every process, and by which run: those that this one did not spare keep an earlier one's."""
    known = json.loads(STORE.read_text()) if STORE.exists() and run["half"] is not None else {"slots": {}, "runs": {}}
    known["runs"][run["at"]] = dict(run)
    known["slots"] |= {one.slot: {"cells": _cells(one), "run": run["at"]} for one in found}
    used = {slot["run"] for slot in known["slots"].values()}
    known["runs"] = {at: told for at, told in sorted(known["runs"].items()) if at in used}
    STORE.parent.mkdir(exist_ok=True)
    STORE.write_text(json.dumps(known))
    return dict(known)


def _page(known: Mapping[str, Any], about: Mapping[str, object], warm: float) -> str:
    runs = list(known["runs"])
    rows = [(slot, str(1 + runs.index(one["run"])), *one["cells"]) for slot, one in sorted(known["slots"].items())]
    lines = [
        "# A soak",
        "",
        f"Written by `make soak` on {about['cores']} cores ({about['machine']}), Python {about['python']}, "
        f"seed {seeds.of()}. A kill a minute while documents come in.",
        "",
        *(line for number, run in enumerate(known["runs"].values(), 1) for line in _told(number, run)),
        "Resident memory of each process in the run that spared it, its slope by least squares over all of its lives",
        f"without their first {warm / 60:.0f} minutes, with two standard errors. "
        f"Those that keep what is fed to them ({', '.join(sorted(_KEEPERS))}) are not judged.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'|'.join(' --- ' for _ in _HEAD)}|",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]
    return "\n".join([*lines, ""])


def _told(number: int, run: Mapping[str, Any]) -> Iterator[str]:
    dirty = ", with changes not committed" if run["dirty"] else ""
    whom = "each half of the processes in turn" if run["half"] is None else f"half {run['half']} of the processes alone"
    yield f"{number}. {run['at']}, commit {str(run['commit'])[:12]}{dirty}; killed: {whom}."
    yield from (f"   {line}" for line in run["told"])
    yield ""


if __name__ == "__main__":
    raise SystemExit(main())

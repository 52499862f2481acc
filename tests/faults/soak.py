"""`make soak HOURS=2`: load, a kill a minute of any role, and whether any process grows or anything is lost."""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

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
LIMIT = 2.0
"""Most megabytes an hour by which a process may grow, beyond what chance alone explains (two standard errors)."""
_SAMPLE_SECONDS, _KILL_SECONDS = 5.0, 60.0
_WARM_SECONDS = 1200.0
"""The start of a life, no growth: until every path was taken and every pool has its size."""
_KEEPERS = frozenset({"kafka", "postgres", "weaviate"})
"""Servers that keep what is fed to them: they grow with it, and are shown, not judged."""
_HEAD = ("process", "lives", "at the end", "at most", "MB an hour")


def main() -> int:
    """Run, print, write; 1 where something was lost or doubled, or a process grew."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    about, began = machine.describe(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headrace-soak-") as folder, World(Path(folder), PLAIN) as world:
        killer = Killer(world.stack, world.servers)
        feeder = Feeder(world, random.Random(seeds.of()), every=2.0, least=0)
        samples = _work(world, feeder, killer, asked.hours * 3600)
        settle(world, feeder.accepted, 300)
        verdict = judge(asyncio.run(world.history()), feeder.accepted, world.plan.indexes)
    found = growths(samples, min(_WARM_SECONDS, asked.hours * 3600 / 6))
    summary = _summary(verdict, killer, len(feeder.accepted), time.monotonic() - began)
    console = Console()
    console.print(_table(found))
    console.print(*summary, verdict.told(), sep="\n")
    asked.page.write_text(_page(found, summary, about))
    return 0 if verdict.clean and not any(map(_grows, found)) else 1


def _work(world: World, feeder: Feeder, killer: Killer, seconds: float) -> list[Sample]:
    """Half of the processes are killed in the first half of the time, the others then: each lives for the other one."""
    chance = random.Random(seeds.of())
    names = sorted({*world.stack.pids(), *world.servers})
    chance.shuffle(names)
    halves = names[::2], names[1::2]
    samples: list[Sample] = []
    began = time.monotonic()
    next_kill = _KILL_SECONDS
    feeder.start()
    while (at := time.monotonic() - began) < seconds:
        samples += _sample(world, at)
        if at >= next_kill:
            next_kill += _KILL_SECONDS
            killer.anywhere(chance.choice(halves[int(2 * at / seconds)]), chance)
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


def _rows(found: list[Growth]) -> Iterator[tuple[str, ...]]:
    for one in found:
        slope = "too short to tell" if one.slope is None else f"{one.slope:+.1f} ± {2 * one.error:.1f}"
        yield one.slot, str(one.lives), f"{one.last:.0f} MB", f"{one.most:.0f} MB", slope


def _table(found: list[Growth]) -> Table:
    table = Table(title="Resident memory")
    for name in _HEAD:
        table.add_column(name, justify="left" if name == "process" else "right")
    for cells, one in zip(_rows(found), found, strict=True):
        table.add_row(*cells, style="red" if _grows(one) else None)
    return table


def _page(found: list[Growth], summary: list[str], about: Mapping[str, object]) -> str:
    dirty = ", with changes not committed" if about["dirty"] else ""
    lines = [
        "# A soak",
        "",
        f"Written by `make soak` on {about['at']}, {about['cores']} cores ({about['machine']}), "
        f"Python {about['python']}, commit {str(about['commit'])[:12]}{dirty}, seed {seeds.of()}.",
        "",
        *summary,
        "",
        "Half of the processes are killed in the first half of the time, the other half in the second, so that each",
        "also lives long enough to be seen growing. Resident memory of each process, its slope by least squares over",
        f"all of its lives without their first {_WARM_SECONDS / 60:.0f} minutes, with two standard errors. "
        f"Those that keep what is fed to them ({', '.join(sorted(_KEEPERS))}) are not judged.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'|'.join(' --- ' for _ in _HEAD)}|",
        *(f"| {' | '.join(cells)} |" for cells in _rows(found)),
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    raise SystemExit(main())

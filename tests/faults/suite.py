"""A row of the suite: a fault, what is fed meanwhile, and the judgement of what is left."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench import machine
from tests import tools
from tests.faults.feeder import Feeder
from tests.faults.killer import Kill, Killer
from tests.faults.neighbours import Neighbours
from tests.faults.verdict import Expected, Verdict, judge
from tests.faults.world import PLAIN, Plan, World
from tests.support import until

CAUGHT_UP = 120.0
"""Seconds after a fault's end within which every job has ended and no group is behind (I7)."""


class Missed(AssertionError):
    """A row did not show what it promises; says what."""


@dataclass(slots=True)
class Scene:
    """What a fault has to work with. `expected` are jobs that it submits itself; `told` what it measured."""

    world: World
    killer: Killer
    chance: random.Random
    feeder: Feeder
    expected: dict[str, Expected] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def submit(self, name: str, content: bytes, promised: Expected, **fields: str) -> str:
        """One document of a row's own; its job."""
        with self.world.client(promised.tenant) as client:
            answer = client.post("/v1/jobs", files={"file": (name, content)}, data=fields)
        self.expect(answer.status_code == 202, f"a submission was answered with {answer.status_code}")
        job = str(answer.json()["id"])
        self.expected[job] = promised
        return job

    def promised(self) -> dict[str, Expected]:
        """Every job of the row."""
        return self.feeder.accepted | self.expected

    def last(self, seconds: float) -> None:
        """Let a fault last: its length is part of it."""
        time.sleep(seconds)

    def expect(self, holds: object, what: str) -> None:
        """Raise `Missed` unless it holds."""
        if not holds:
            raise Missed(what)

    def expect_time(self, holds: object, what: str) -> None:
        """The same of a time, which says nothing beside busy neighbours."""
        if not holds:
            self.slow.append(what)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of the table. `windows`: kills that must have fallen into each window, else the run proves nothing.

    `fed`: whether callers submit while the fault lasts, `least` documents at any rate, one every `every` seconds.
    `clocks`: whether times that processes wrote can be held against each other.
    """

    number: int
    name: str
    fault: Callable[[Scene], None]
    windows: Mapping[str, int] = field(default_factory=dict)
    plan: Plan = PLAIN
    needs: tuple[str, ...] = ()
    fed: bool = True
    every: float = 0.7
    least: int = 6
    clocks: bool = True


@dataclass(slots=True)
class Outcome:
    """What a run of a row came to."""

    row: Row
    verdict: Verdict = field(default_factory=Verdict)
    kills: list[Kill] = field(default_factory=list)
    jobs: int = 0
    seconds: float = 0.0
    told: list[str] = field(default_factory=list)
    fault: str = ""
    neighbours: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the row showed all that it promises."""
        return self.verdict.clean and not self.fault

    def hits(self) -> Counter[str]:
        """Kills by window."""
        return Counter(kill.window for kill in self.kills)


def impossible(row: Row) -> str:
    """Why this machine cannot run a row; empty where it can."""
    if row.plan.disk and os.geteuid() != 0:
        return "only root can mount a file system"
    return ", ".join(f"{tool} is missing" for tool in row.needs if tools.missing(tool))


def run(row: Row, world: World, seed: int) -> Outcome:
    """Feed, break, mend, settle, judge."""
    began, span = time.monotonic(), Neighbours()
    chance = random.Random(f"{seed}/{row.number}")
    killer = Killer(world.stack, world.servers)
    scene = Scene(world, killer, chance, Feeder(world, chance, row.every, row.least))
    outcome = Outcome(row, kills=killer.log, told=scene.told)
    broken = False
    try:
        _break(row, scene)
        broken = True
        settle(world, scene.promised())
    except Exception as error:  # noqa: BLE001 whatever breaks in a row is that row's failure, and the next one runs
        outcome.fault = str(error) if isinstance(error, AssertionError) else repr(error)
    finally:
        world.mend()
    outcome.jobs = len(scene.promised())
    if broken:  # else all is still in the middle of its work, and tells nothing
        outcome.verdict = judge(asyncio.run(world.history()), scene.promised(), world.plan.indexes)
    if not row.clocks:
        outcome.verdict.early.clear()
    outcome.neighbours = span.neighbours()
    outcome.fault = outcome.fault or _invalid(row, killer)
    slow = "; ".join([*scene.slow, *_too_long_away(killer)])
    if slow and outcome.neighbours > machine.NEIGHBOURS_LIMIT:
        outcome.told.append(f"{slow}, inconclusive: others took {outcome.neighbours:.0%} of the machine")
    else:
        outcome.fault = outcome.fault or slow
    outcome.seconds = time.monotonic() - began
    return outcome


def _break(row: Row, scene: Scene) -> None:
    if row.fed:
        scene.feeder.start()
    try:
        row.fault(scene)
    finally:
        scene.world.mend()
        if row.fed:
            scene.feeder.stop()


def settle(world: World, expected: Mapping[str, Expected], seconds: float = CAUGHT_UP) -> None:
    """Wait until every job has ended, no group is behind, and every end was announced."""
    until(lambda: asyncio.run(world.ended(expected)), seconds, "every job ended")
    until(world.caught_up, seconds, "no group behind")

    def announced() -> bool:
        verdict = judge(asyncio.run(world.history()), expected, world.plan.indexes)
        return not any("announced" in line for line in verdict.lost)

    until(announced, 30, "every end announced")


def _invalid(row: Row, killer: Killer) -> str:
    hits = killer.windows()
    few = [f"{window} {hits[window]} of {wanted}" for window, wanted in row.windows.items() if hits[window] < wanted]
    if few:
        return f"too few kills inside a window prove nothing: {', '.join(few)}"
    if any(not kill.in_flight for kill in killer.log if kill.window != "any"):
        return "a kill was not logged with its record in flight"
    return ""


def _too_long_away(killer: Killer) -> list[str]:
    """Recovery is promised on a machine that is ours: beside busy neighbours a figure says nothing."""
    return [f"{kill.slot} was away for {kill.recovery:.1f} s" for kill in killer.slow()]

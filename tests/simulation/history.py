"""One history from its plan to its verdict."""

import gc
import hashlib
from dataclasses import dataclass

from tests.simulation import callers, faults
from tests.simulation.judge import Judge
from tests.simulation.plan import Plan, drawn
from tests.simulation.world import WAITING, World

SLOTS = ("dispatcher-1", "prepare-1", "ocr-1", "index-1", "projector-1", "relay-1", "letters-1")
STANDBY = ("dispatcher-2", "ocr-2", "projector-2", "relay-2")
LIMIT_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class History:
    """What came of a plan: its trace line by line, and what was violated in it."""

    plan: Plan
    trace: tuple[str, ...]
    violations: tuple[str, ...]
    seconds: float
    steps: int
    starts: int
    deaths: int
    rebalances: int
    records: int

    @property
    def digest(self) -> str:
        """Equal for equal traces."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


def of_seed(seed: int) -> History:
    """The history of a seed."""
    return run(drawn(seed))


def run(plan: Plan) -> History:
    """Run a plan until nothing is left to do, and judge."""
    collects = gc.isenabled()
    gc.disable()  # a third of the time otherwise; what a history leaves is let go of in the end
    world = World(plan)
    judge = Judge(world)
    try:
        _run(world, judge)
        return History(
            plan,
            tuple(world.trace),
            tuple(judge.found),
            world.loop.now,
            world.loop.steps,
            world.starts,
            world.deaths,
            sum(group.rebalances for group in world.log.groups.values()),
            sum(map(len, world.log.records.values())),
        )
    finally:
        world.close()
        if collects:
            gc.enable()


def _run(world: World, judge: Judge) -> None:
    for slot in (*SLOTS, *(STANDBY if world.plan.standby else ())):
        world.loop.outside(0, world.start, slot)
    for number, job in enumerate(world.plan.jobs):
        world.loop.outside(job.at, callers.submit, world, number)
        if job.cancel is not None:
            world.loop.outside(job.at + job.cancel, callers.cancel, world, number)
    faults.arrange(world)
    world.loop.outside(0.5, _second, world)
    if not _settled(world):
        return judge.blame("I1", f"stalled: {_unfinished(world)}")
    judge.end()
    if not judge.found and callers.again(world):
        if not _settled(world):
            return judge.blame("I1", f"stalled after a redrive: {_unfinished(world)}")
        judge.end()
    return None


def _settled(world: World) -> bool:
    """Go on until all that lies on the log is read, and nobody waits for anything."""
    calm = max((fault.at + fault.seconds for fault in world.plan.faults), default=0.0)
    busy = max(job.at + (job.cancel or 0) for job in world.plan.jobs)
    least = max(calm, busy, world.loop.now) + 0.5
    return world.loop.run(lambda: world.quiet(least), world.loop.now + LIMIT_SECONDS)


def _second(world: World) -> None:
    """What servers and operators do about twice a second: look who is still there."""
    for group in world.log.groups.values():
        group.watch()
    for consumer in world.consumers:
        consumer.heartbeat()
    for lead in world.leads.values():
        lead.watch(world.loop.now)
    if world.breaks or world.plan.halts:
        callers.tend(world)
    world.loop.outside(0.5, _second, world)


def _unfinished(world: World) -> str:
    """What is left where a history does not end."""
    behind = [
        f"{name} {partition.topic}[{partition.partition}] {group.committed.get(partition, 0)}/{len(records)}"
        for name, group in world.log.groups.items()
        for partition, records in world.log.records.items()
        if partition.topic in group.topics and group.committed.get(partition, 0) < len(records)
    ]
    behind += [f"{name}: {sorted(rows)}" for name in WAITING if (rows := world.database.table(name))]
    behind += world.loop.failures[:3]
    return ", ".join(behind) or f"{len(world.database.open)} transactions open, or the outbox not relayed"

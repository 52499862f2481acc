"""What goes wrong in a history, and when."""

from collections.abc import Callable

from schemas import topics
from schemas.records import Outgoing
from tests.simulation.plan import Fault, FaultKind
from tests.simulation.world import World

OWN_TOPICS = frozenset(
    topic.name
    for topic in (
        topics.RESULTS, topics.CONTROL, topics.ATTEMPTS, topics.DEAD_LETTERS, topics.RELAY, topics.LOAD,
    )
)  # fmt: skip
"""Topics on which nobody but one writer says each thing once, or whose records are not work."""


def arrange(world: World) -> None:
    """Let every fault of the plan happen at its time."""
    for fault in world.plan.faults:
        world.loop.outside(fault.at, _begin, world, fault)


def _begin(world: World, fault: Fault) -> None:
    world.note(f"fault: {fault.kind} {fault.target}")
    _HAPPENS[fault.kind](world, fault)


def _kill(world: World, fault: Fault) -> None:
    if (process := world.processes.get(fault.target)) is not None:
        world.loop.kill(process)


def _crash(world: World, fault: Fault) -> None:
    if (process := world.processes.get(fault.target)) is not None:
        process.fuse = fault.steps


def _pause(world: World, fault: Fault) -> None:
    if (process := world.processes.get(fault.target)) is not None:
        world.loop.pause(process)
        world.loop.outside(fault.seconds, world.loop.resume, process)


def _log_down(world: World, fault: Fault) -> None:
    world.log.down_until = max(world.log.down_until, world.loop.now + fault.seconds)


def _database_down(world: World, fault: Fault) -> None:
    world.database.fail(max(world.database.down_until, world.loop.now + fault.seconds))


def _answers_lost(world: World, fault: Fault) -> None:
    world.log.loses = 0.5
    world.loop.outside(fault.seconds, _answers_come, world)


def _slow_commits(world: World, fault: Fault) -> None:
    world.database.slow = 0.4
    world.loop.outside(fault.seconds, _commits_are_quick, world)


def _join(world: World, fault: Fault) -> None:
    if fault.target not in world.processes:
        world.start(fault.target)


def _leave(world: World, fault: Fault) -> None:
    world.stop(fault.target)


def _answers_come(world: World) -> None:
    world.log.loses = 0.0


def _commits_are_quick(world: World) -> None:
    world.database.slow = 0.0


def _repeat(world: World, fault: Fault) -> None:
    """Records that were confirmed once lie on the log a second time."""
    known = [message for records in world.log.records.values() for message in records]
    known = [message for message in known if message.topic not in OWN_TOPICS]
    for _ in range(min(fault.steps, len(known))):
        message = world.loop.random.choice(known)
        world.log.append(Outgoing(message.topic, message.key, message.value, message.headers, message.partition))


_HAPPENS: dict[FaultKind, Callable[[World, Fault], None]] = {
    "kill": _kill,
    "crash": _crash,
    "pause": _pause,
    "log down": _log_down,
    "answers lost": _answers_lost,
    "database down": _database_down,
    "slow commits": _slow_commits,
    "repeat": _repeat,
    "join": _join,
    "leave": _leave,
}

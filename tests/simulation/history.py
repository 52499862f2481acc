"""One history from its plan to its verdict."""

import gc
import hashlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas import topics
from schemas.codec import encode
from schemas.control import ControlEntry
from schemas.documents import CancelRequested, JobSubmitted, PagePrepared, PagesReopened, SliceReleased
from schemas.envelope import Envelope
from schemas.records import Outgoing
from tests.simulation import faults
from tests.simulation.judge import Judge
from tests.simulation.log import Message
from tests.simulation.plan import Plan, drawn
from tests.simulation.steps import CLAIM
from tests.simulation.world import World, name_of, number_of

SLOTS = ("prepare-1", "ocr-1", "ocr-2", "index-1", "projector-1", "projector-2", "relay-1", "relay-2")
LIMIT_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class History:
    """What came of a plan: its trace line by line, and what was violated in it."""

    plan: Plan
    trace: tuple[str, ...]
    violations: tuple[str, ...]
    seconds: float
    steps: int
    deaths: int
    rebalances: int

    @property
    def digest(self) -> str:
        """Equal for equal traces."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


def of_seed(seed: int) -> History:
    """The history of a seed."""
    return run(drawn(seed))


def run(plan: Plan) -> History:
    """Run a plan until nothing is left to do, and judge."""
    logging.disable(logging.CRITICAL)
    collects = gc.isenabled()
    gc.disable()  # a third of the time otherwise; what a history leaves is let go of in the end
    world = World(plan)
    judge = Judge(world)
    try:
        _run(world, judge)
        rebalances = sum(group.rebalances for group in world.log.groups.values())
        found = tuple(judge.found)
        return History(plan, tuple(world.trace), found, world.loop.now, world.loop.steps, world.deaths, rebalances)
    finally:
        world.close()
        if collects:
            gc.enable()
        logging.disable(logging.NOTSET)


def _run(world: World, judge: Judge) -> None:
    for slot in SLOTS:
        world.loop.outside(0, world.start, slot)
    for number, job in enumerate(world.plan.jobs):
        world.loop.outside(job.at, _submit, world, number)
        if job.cancel is not None:
            world.loop.outside(job.at + job.cancel, _cancel, world, number)
    faults.arrange(world)
    world.loop.outside(0.5, _second, world)
    if not _settled(world):
        return judge.blame("I1", f"stalled: {_unfinished(world)}")
    judge.end()
    if not judge.found and _redrive(world):
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
    """What servers do about twice a second: look who is still there."""
    for group in world.log.groups.values():
        group.watch()
    for consumer in world.consumers:
        consumer.heartbeat()
    world.lead.watch(world.loop.now)
    world.loop.outside(0.5, _second, world)


def _submit(world: World, number: int) -> None:
    """A caller is answered 202 when the log has the job: so the log is up, however often that took."""
    if world.log.down:
        world.loop.outside(0.3, _submit, world, number)
        return
    submitted = world.envelope(number, JobSubmitted.kind())
    world.log.append(encode(topics.JOBS.name, submitted, JobSubmitted(source=CLAIM)))
    released = world.envelope(number, SliceReleased.kind())
    world.log.append(encode(topics.PREPARE.name, released, SliceReleased(source=CLAIM, last=32)))


def _cancel(world: World, number: int) -> None:
    if world.log.down:
        world.loop.outside(0.3, _cancel, world, number)
        return
    job = name_of(number)
    order = ControlEntry(action="cancel", until=datetime.now(UTC) + timedelta(days=1))
    world.log.append(Outgoing(topics.CONTROL.name, job.encode(), order.model_dump_json().encode()))
    world.log.append(encode(topics.EVENTS.name, world.envelope(number, CancelRequested.kind()), CancelRequested()))


def _redrive(world: World) -> bool:
    """Try the failed pages of some jobs again, all of a job as its next run; whether there were any."""
    letters: dict[tuple[int, int], Message] = {}
    for message in world.log.messages(topics.DEAD_LETTERS.name):
        envelope = Envelope.from_headers(message.headers)
        if envelope.part and world.redrives(number_of(envelope.job)):
            letters[number_of(envelope.job), envelope.part] = message
    for number in sorted({number for number, _ in letters}):
        pages = sorted(page for one, page in letters if one == number)
        run = world.database.table("jobs")[name_of(number),]["run"] + 1
        reopened = PagesReopened(pages=tuple(pages), step="ocr")
        envelope = world.envelope(number, PagesReopened.kind(), run=run)
        world.log.append(encode(topics.EVENTS.name, envelope, reopened))
        for page in pages:
            world.redriven.add((number, page))
            again = world.envelope(number, PagePrepared.kind(), run=run, part=page, word="redrive")
            payload = PagePrepared.model_validate_json(letters[number, page].value or b"")
            world.log.append(encode(topics.OCR.name, again, payload, spread=page))
    return bool(letters)


def _unfinished(world: World) -> str:
    """What is left where a history does not end."""
    behind = [
        f"{name} {partition.topic}[{partition.partition}] {group.committed.get(partition, 0)}/{len(records)}"
        for name, group in world.log.groups.items()
        for partition, records in world.log.records.items()
        if partition.topic in group.topics and group.committed.get(partition, 0) < len(records)
    ]
    behind += world.loop.failures[:3]
    return ", ".join(behind) or f"{len(world.database.open)} transactions open, or the outbox not relayed"

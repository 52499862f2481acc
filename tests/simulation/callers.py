"""What callers and operators do in a history: submit, cancel, try again, lift a halt."""

import uuid
from datetime import UTC, datetime, timedelta

from schemas import topics
from schemas.codec import encode
from schemas.control import ControlEntry, StepOrder, step_key
from schemas.documents import CancelRequested, JobSubmitted, RedriveRequested, ResumeRequested
from schemas.jobs import TERMINAL
from schemas.records import Outgoing
from tests.simulation.steps import CLAIM
from tests.simulation.world import World, name_of

HALTED_SECONDS = 3.0
MENDED_SECONDS = 20.0
_RETRY_SECONDS = 0.3


def submit(world: World, number: int) -> None:
    """A caller is answered 202 when the log has the job: so the log is up, however often that took."""
    if world.log.down:
        world.loop.outside(_RETRY_SECONDS, submit, world, number)
        return
    submitted = world.envelope(number, JobSubmitted.kind())
    world.log.append(encode(topics.JOBS.name, submitted, JobSubmitted(source=CLAIM)))


def cancel(world: World, number: int) -> None:
    """The order for workers, and the event for the projector."""
    if world.log.down:
        world.loop.outside(_RETRY_SECONDS, cancel, world, number)
        return
    job = name_of(number)
    order = ControlEntry(action="cancel", until=datetime.now(UTC) + timedelta(days=1))
    world.log.append(Outgoing(topics.CONTROL.name, job.encode(), order.model_dump_json().encode()))
    world.log.append(encode(topics.EVENTS.name, world.envelope(number, CancelRequested.kind()), CancelRequested()))


def again(world: World) -> bool:
    """Ask for what failed to be tried again, as the plan says; whether anything was asked for."""
    asked = False
    for number, job in enumerate(world.plan.jobs):
        row = world.database.table("jobs")[name_of(number),]
        failed = _failed(world, number)
        if not failed or job.cancel is not None or row["state"] not in TERMINAL:
            continue
        match job.again:
            case "redrive":
                _redrive(world, number)
            case "resume":
                envelope = world.envelope(number, ResumeRequested.kind())
                world.log.append(encode(topics.REDRIVES.name, envelope, ResumeRequested(step="ocr", by="the judge")))
            case _:
                continue
        world.redriven |= {(number, page) for page in failed}
        asked = True
    return asked


def _failed(world: World, number: int) -> set[int]:
    """Pages that failed, and of which no copy was read later."""
    kinds: dict[str, set[int]] = {"failed": set(), "indexed:pgvector": set()}
    for job, part, kind in world.database.table("parts"):
        if job == name_of(number) and kind in kinds:
            kinds[kind].add(part)
    return kinds["failed"] - kinds["indexed:pgvector"]


def _redrive(world: World, number: int) -> None:
    """All letters of the job, in one order or one by one."""
    letters = world.database.table("dead_letters").values()
    own = sorted(str(row["id"]) for row in letters if row["job"] == name_of(number) and row["state"] == "open")
    orders = [own] if world.loop.random.random() < 0.5 else [[letter] for letter in own]
    for named in orders:
        asked = RedriveRequested(letters=tuple(map(uuid.UUID, named)), by="the judge")
        envelope = world.envelope(number, RedriveRequested.kind(), word=named[0])
        world.log.append(encode(topics.REDRIVES.name, envelope.model_copy(update={"job": ""}), asked))


def tend(world: World) -> None:
    """An operator who mends what is broken some time after the step halted, or after all that time, and resumes it."""
    view = world.log.view(topics.CONTROL.name)
    value = view.get(step_key("ocr"))
    order = None if value is None else StepOrder.model_validate_json(value)
    halted = order is not None and order.halted
    since = order.at.timestamp() + HALTED_SECONDS if order is not None and halted else MENDED_SECONDS
    if world.log.down or world.loop.now < since or not (halted or not world.mended):
        return
    world.mended = True
    if halted:
        world.note("the operator resumes ocr")
        resumed = StepOrder(step="ocr", halted=False, by="operator", at=datetime.fromtimestamp(world.loop.now, UTC))
        world.log.append(Outgoing(topics.CONTROL.name, step_key("ocr"), resumed.model_dump_json().encode()))

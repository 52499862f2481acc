"""The loop: a record in, one outcome out, and the offset passes only after the outcome is on the log.

Nothing raises past this module. A handler's error becomes an outcome by its fate: reject (dead letter and failure
event), hold (wait for the dependency, pulling nothing; or for what that record alone waits for), or retry (three times,
then reject). Where even the outcome cannot be written, the loop waits for the log; where the loop itself fails, the
process ends without committing. While the step is halted, nothing is taken up.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from processors import telemetry
from processors.attempts import LIMIT, Attempts
from processors.batcher import Batcher
from processors.halts import HaltLimits, Halts, StepOrders
from processors.handlers import Handler
from processors.outcomes import outgoing
from processors.patience import HOLD_SECONDS, Patience
from processors.pulse import Pulse
from processors.trails import Trails
from processors.verdicts import Verdicts
from schemas.codec import decode
from schemas.control import StepOrder, step_key
from schemas.documents import PartSkipped, Payload
from schemas.envelope import Envelope
from schemas.errors import DependencyDown, HeadraceError, PoisonRecord, RecordError
from schemas.failpoints import Failpoints
from schemas.ports import Publisher
from schemas.records import Emit, Hold, Outcome, Outgoing, Partition, Record, Reject, Retry, Skip
from schemas.topics import CONTROL, FIRST_TOPICS
from schemas.work import Task

log = logging.getLogger(__name__)
HALTED_SECONDS = 0.5
"""How soon an order that lifts a halt is seen."""
FARTHEST_BEYOND = 10_000
"""Offsets that may be passed while one waits by itself: all of them are read again by whoever takes its partition."""


class Orders(StepOrders, Protocol):
    """Standing orders about jobs and steps."""

    def cancelled(self, job: str, run: int) -> bool:
        """Whether this run of the job is to be cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a loop works with. `finish` lets a record's offset pass; `owned` says whether it is still ours to pass,
    `beyond` how many others of its partition were read after it.

    `skips`: whether work of a cancelled or expired job is skipped; the projector must hear of it all the same. `slot`
    names the worker in its orders, `leaving` is called when it begins to drain. `now` gives seconds since 1970; all
    that chance decides comes from `dice`.
    """

    handler: Handler
    publisher: Publisher
    attempts: Attempts
    orders: Orders
    failpoints: Failpoints
    finish: Callable[[Record], object]
    owned: Callable[[Record], bool]
    beyond: Callable[[Record], int]
    limit: int
    unpack: Callable[[Record], Awaitable[Record]]
    skips: bool = True
    decode: Callable[[Record], tuple[Envelope, Payload]] = decode
    slot: str = ""
    limits: HaltLimits = field(default_factory=HaltLimits)
    pulse: Pulse = field(default_factory=Pulse)
    leaving: Callable[[], object] = lambda: None
    now: Callable[[], float] = time.time
    dice: random.Random = field(default_factory=random.Random)
    hold_seconds: Sequence[float] = HOLD_SECONDS


class Runner:
    """One worker's loop: `deliver` feeds it, `run` drives it, `drain` ends it cleanly."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._name = parts.handler.name
        self._measured = telemetry.of_step(self._name)
        self._batcher: Batcher[Record] = Batcher(4 * parts.limit, lambda record: record.partition.topic in FIRST_TOPICS)
        self._verdicts = Verdicts(self._name, parts.now, lambda: asyncio.get_running_loop().time(), parts.dice)
        self._trails = Trails(self._name, parts.now, parts.attempts.counted)
        self._halts = Halts(self._name, parts.slot, parts.orders, parts.limits, parts.now)
        self._patience = Patience(self._name, parts.dice, parts.pulse, parts.hold_seconds)
        self._held: list[tuple[Record, Hold]] = []
        self._turn = 0
        self._probing = False
        self._busy = asyncio.Lock()
        self._closed = False

    async def deliver(self, record: Record) -> None:
        """Take a record, waiting for room: the feeder's backpressure."""
        await self._batcher.put(record)

    async def has_room(self, *, first: bool = False) -> int:
        """Wait for room for records of the first class, or for all others; for how many there is."""
        await self._batcher.has_room(first=first)
        return self._batcher.room(first=first)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget what waits from partitions that are another's now; what is running may end, and commits nothing."""
        gone = set(partitions)
        self._batcher.drop(lambda record: record.partition in gone)
        self._verdicts.forget()
        self._patience.forget()
        self._trails.forget()

    def halted(self) -> StepOrder | None:
        """The order by which the step is halted, if it is."""
        return self._halts.standing()

    async def open(self) -> None:
        """Open the handler, waiting as long as its dependency is down."""
        turn = 0
        while True:
            try:
                await self._parts.handler.open()
            except DependencyDown as error:
                turn += 1
                await self._patience.hold(turn, str(error), to_the_end=True)
            else:
                return self._patience.over()

    async def run(self) -> None:
        """Work until drained."""
        while batch := await self._batcher.take(self._appetite()):
            if self.halted():
                self._batcher.again(batch)
                await self._while_halted()
                continue
            async with self._busy:
                if self._closed:
                    return
                await self._batch(batch)

    def _appetite(self) -> int:
        """One record at a time while nothing shows that the next would fare better than the last."""
        return 1 if self._probing or self._verdicts.holds else self._parts.limit

    @property
    def notes_idle(self) -> bool:
        """Whether the handler wants to be told that nothing is left."""
        return self._parts.handler.idle is not None

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Tell the handler that nothing is left; a dependency that is down is met again at the next record."""
        async with self._busy:
            try:
                if self._parts.handler.idle is not None:
                    await self._parts.handler.idle(caught_up_at, partitions)
            except DependencyDown as error:
                log.warning("%s: %s", self._name, error)

    async def drain(self, seconds: float) -> None:
        """Begin nothing new, wait at most `seconds` for what runs, let go: what was not finished is read again."""
        self._parts.leaving()
        self._batcher.close()
        self._patience.hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._busy:
                self._closed = True
        self._parts.attempts.close()
        await self._parts.handler.close()

    async def _while_halted(self) -> None:
        order = self.halted()
        if order is not None:
            told = (self._name, order.reason, order.by, self._name)
            log.error("%s is halted: %s (by %s); to go on: headrace steps resume %s", *told)
        while self.halted() and not self._batcher.closed:
            await self._patience.rest(HALTED_SECONDS)
            self._parts.pulse.beat()

    async def _batch(self, batch: list[Record]) -> None:
        suspects = [record for record in batch if self._parts.attempts.suspect(record)]
        for record in suspects:
            await self._alone(record)
        tasks = await self._admit([record for record in batch if record not in suspects])
        if tasks:
            await self._work(tasks)
        await self._wait_if_held()

    async def _alone(self, record: Record) -> None:
        """A suspect: marked first, then run by itself; after the third death not run at all."""
        if not (count := self._parts.attempts.counted(record)):
            count, mark = self._parts.attempts.mark(record)
            await self._publish([mark])
        if count >= LIMIT:  # also where its letter was held, since the step was halted
            self._trails.begun()
            outcome = self._verdicts.poisonous(record, PoisonRecord(), count)
            await self._settle(record, self._trails.failed(record, outcome, PoisonRecord.code))
            return
        if tasks := await self._admit([record]):
            await self._work(tasks)

    async def _admit(self, records: list[Record]) -> list[Task]:
        """Decode, and settle at once what is not to be run; hold on what is newer than us."""
        tasks = []
        for record in records:
            self._trails.begun()
            try:
                envelope, payload = self._parts.decode(await self._parts.unpack(record))
            except Exception as error:  # noqa: BLE001 a record can be malformed in ways that nobody thought of
                known = error if isinstance(error, HeadraceError) else RecordError("the record cannot be read")
                await self._settle(record, self._failed(record, known))
                continue
            if reason := self._moot(envelope):
                event = PartSkipped(step=self._name, reason=reason)
                skip = Skip(reason, outgoing(envelope, self._name, event))
                await self._settle(record, self._trails.failed(record, skip, reason))
                continue
            queued = max(0.0, self._parts.now() - record.at)
            self._measured.queue_seconds.observe(queued)
            tasks.append(Task(envelope, payload, record, queued))
        return tasks

    def _moot(self, envelope: Envelope) -> str:
        if not self._parts.skips:
            return ""
        if self._parts.orders.cancelled(envelope.job, envelope.run):
            return "cancelled"
        late = envelope.deadline is not None and envelope.deadline < datetime.fromtimestamp(self._parts.now(), UTC)
        return "expired" if late else ""

    async def _work(self, tasks: list[Task]) -> None:
        for task, outcome in zip(tasks, await self._outcomes(tasks), strict=True):
            await self._settle(task.record, outcome)

    async def _outcomes(self, tasks: list[Task]) -> list[Outcome]:
        """Run a batch; where it fails as a whole, each task alone, so that one bad record harms no other."""
        records = [task.record for task in tasks]
        for record in records:
            self._verdicts.begun(record)
        self._parts.attempts.running(records)
        self._parts.failpoints.reach("handler", str(records[0]))
        self._trails.begun()
        began = time.perf_counter()
        try:
            answers = list(await self._parts.handler.handle(tasks))
        except Exception as error:  # noqa: BLE001 whatever a step or its libraries raise has a fate
            if len(tasks) > 1 and not isinstance(error, DependencyDown):
                return [await self._outcome(task) for task in tasks]
            return [self._failed(task.record, error) for task in tasks]
        finally:
            self._measured.batch_seconds.observe(time.perf_counter() - began)
            self._measured.batch_records.observe(len(tasks))
        emitted: list[Outgoing] = []
        outcomes: list[Outcome] = []
        for task, answer in zip(tasks, answers, strict=True):
            if isinstance(answer, HeadraceError):
                outcomes.append(self._failed(task.record, answer))
            else:
                self._verdicts.succeeded()
                emitted += self._trails.succeeded(task.record, answer)
                outcomes.append(Emit())
        await self._publish(emitted)  # one wait for the whole batch
        return outcomes

    def _failed(self, record: Record, error: Exception) -> Outcome:
        code = error.code if isinstance(error, HeadraceError) else HeadraceError.code
        return self._trails.failed(record, self._verdicts.of(record, error), code)

    async def _outcome(self, task: Task) -> Outcome:
        """One task of a batch that failed; those behind a breaker that opened are not tried."""
        if self._verdicts.holds:
            return self._verdicts.held("a neighbour failed")
        return (await self._outcomes([task]))[0]

    async def _settle(self, record: Record, outcome: Outcome) -> None:
        if isinstance(outcome, Reject) and not outcome.input_at_fault and self.halted():
            outcome = Hold("the step is halted", alone=True)
        self._measured.records[type(outcome)].inc()
        if isinstance(outcome, Retry | Hold | Reject) and not self._parts.owned(record):
            return  # its partition is another's by now, who will come to a verdict of their own
        self._parts.pulse.beat()
        match outcome:
            case Retry():
                log.warning("%s: %s again in %.1f s: %s", self._name, record, outcome.after, outcome.reason)
                if not outcome.records:
                    self._batcher.later(record, outcome.after)
                    return
            case Hold(alone=True) if self._parts.beyond(record) < FARTHEST_BEYOND:
                self._batcher.later(record, self._patience.apart(str(record), outcome.reason))
                return
            case Hold():
                self._held.append((record, outcome))
                return
            case Reject():
                telemetry.REJECTS.labels(self._name, outcome.code).inc()
                log.error("%s: %s rejected: %s", self._name, record, outcome.code)
        self._verdicts.settled(record)
        self._patience.settled(str(record))
        self._trails.settled(record)
        await self._publish([*outcome.records, *self._parts.attempts.clear(record)])
        self._parts.failpoints.reach("commit", str(record))
        self._parts.finish(record)
        await self._count(outcome)

    async def _count(self, outcome: Outcome) -> None:
        """Judge the step by its outcomes: what is the caller's fault, moot or to come back says nothing of it."""
        bad = isinstance(outcome, Reject) and not outcome.input_at_fault
        if (bad or isinstance(outcome, Emit)) and (order := self._halts.count(bad=bad)):
            log.critical("%s halts: %s", self._name, order.reason)
            await self._publish([Outgoing(CONTROL.name, step_key(self._name), order.model_dump_json().encode())])

    async def _wait_if_held(self) -> None:
        """Stop pulling: the loop sleeps, and then tries what it held, or what stands behind it, one record first."""
        held, self._held = self._held, []
        self._probing = any(not hold.alone for _, hold in held)
        if not held:
            self._turn = 0
            return
        self._turn += 1
        self._batcher.again(record for record, hold in held if not hold.behind)
        self._batcher.behind(record for record, hold in held if hold.behind)
        await self._patience.hold(self._turn, held[0][1].reason)
        self._patience.over()

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        """Publish, waiting for the log as long as it takes: until then no offset passes."""
        turn = 0
        while True:
            try:
                await self._parts.publisher.publish(records)
            except DependencyDown as error:
                turn += 1
                await self._patience.hold(turn, str(error), to_the_end=True)
            else:
                if turn:
                    self._patience.over()
                return

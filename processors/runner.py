"""The loop: a record in, one outcome out, and the offset passes only after the outcome is on the log.

Nothing raises past this module. A handler's error becomes an outcome by its fate: reject (dead letter and failure
event), hold (wait for the dependency, pulling nothing), or retry (three times, then reject). Where even the outcome
cannot be written, the loop waits for the log; where the loop itself fails, the process ends without committing.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from processors import telemetry
from processors.attempts import LIMIT, Attempts
from processors.batcher import Batcher
from processors.handlers import Handler
from processors.outcomes import outcome_of, outgoing
from schemas.codec import decode
from schemas.documents import PartSkipped, Payload
from schemas.envelope import Envelope
from schemas.errors import DependencyDown, HeadraceError, PoisonRecord, RecordError
from schemas.failpoints import Failpoints
from schemas.ports import Publisher
from schemas.records import Emit, Hold, Outcome, Outgoing, Partition, Record, Reject, Retry, Skip
from schemas.work import Task

log = logging.getLogger(__name__)
HOLD_SECONDS = (0.2, 0.5, 1.0, 2.0)  # back-off while a dependency is down; short, as recovery is promised in seconds


class Orders(Protocol):
    """Standing orders about jobs."""

    def cancelled(self, job: str, run: int) -> bool:
        """Whether this run of the job is to be cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a loop works with. `finish` lets a record's offset pass; `owned` says whether it is still ours to pass.

    `skips`: whether work of a cancelled or expired job is skipped; the projector must hear of it all the same.
    """

    handler: Handler
    publisher: Publisher
    attempts: Attempts
    orders: Orders
    failpoints: Failpoints
    finish: Callable[[Record], object]
    owned: Callable[[Record], bool]
    limit: int
    unpack: Callable[[Record], Awaitable[Record]]
    skips: bool = True
    decode: Callable[[Record], tuple[Envelope, Payload]] = decode


class Runner:
    """One worker's loop: `deliver` feeds it, `run` drives it, `drain` ends it cleanly."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._name = parts.handler.name
        self._batcher: Batcher[Record] = Batcher(4 * parts.limit)
        self._failures: dict[str, int] = {}
        self._held: list[tuple[Record, str]] = []
        self._turn = 0
        self._busy = asyncio.Lock()
        self._closed = False

    async def deliver(self, record: Record) -> None:
        """Take a record, waiting for room: the feeder's backpressure."""
        await self._batcher.put(record)

    def room(self) -> int:
        """How many records may be delivered without waiting."""
        return self._batcher.room()

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Forget what waits from partitions that are another's now; what is running may end, and commits nothing."""
        gone = set(partitions)
        self._batcher.drop(lambda record: record.partition in gone)
        self._failures.clear()

    async def open(self) -> None:
        """Open the handler, waiting as long as its dependency is down."""
        for turn in range(1_000_000_000):
            try:
                await self._parts.handler.open()
            except DependencyDown as error:
                self._alarm(turn, str(error))
                await asyncio.sleep(_pause(turn))
            else:
                telemetry.HOLDING.labels(self._name).set(0)
                return

    async def run(self) -> None:
        """Work until drained."""
        while batch := await self._batcher.take(self._parts.limit):
            async with self._busy:
                if self._closed:
                    return
                await self._batch(batch)

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Tell the handler that nothing is left; a dependency that is down is met again at the next record."""
        async with self._busy:
            try:
                await self._parts.handler.idle(caught_up_at, partitions)
            except DependencyDown as error:
                log.warning("%s: %s", self._name, error)

    async def drain(self, seconds: float) -> None:
        """Begin nothing new, wait at most `seconds` for what runs, let go: what was not finished is read again."""
        self._batcher.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._busy:
                self._closed = True
        self._parts.attempts.close()
        await self._parts.handler.close()

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
        if not self._parts.attempts.is_marked(record):
            count, mark = self._parts.attempts.mark(record)
            await self._publish([mark])
            if count >= LIMIT:
                await self._settle(record, outcome_of(record, self._name, PoisonRecord(), failures=count))
                return
        if tasks := await self._admit([record]):
            await self._work(tasks)

    async def _admit(self, records: list[Record]) -> list[Task]:
        """Decode, and settle at once what is not to be run; hold on what is newer than us."""
        tasks = []
        for record in records:
            try:
                envelope, payload = self._parts.decode(await self._parts.unpack(record))
            except Exception as error:  # noqa: BLE001 a record can be malformed in ways that nobody thought of
                known = error if isinstance(error, HeadraceError) else RecordError("the record cannot be read")
                await self._settle(record, self._fate(record, known))
                continue
            if reason := self._moot(envelope):
                event = PartSkipped(step=self._name, reason=reason)
                await self._settle(record, Skip(reason, outgoing(envelope, self._name, event)))
                continue
            queued = max(0.0, time.time() - record.at)
            telemetry.QUEUE_SECONDS.labels(self._name).observe(queued)
            tasks.append(Task(envelope, payload, record, queued))
        return tasks

    def _moot(self, envelope: Envelope) -> str:
        if not self._parts.skips:
            return ""
        if self._parts.orders.cancelled(envelope.job, envelope.run):
            return "cancelled"
        late = envelope.deadline is not None and envelope.deadline < datetime.now(UTC)
        return "expired" if late else ""

    async def _work(self, tasks: list[Task]) -> None:
        for task, outcome in zip(tasks, await self._outcomes(tasks), strict=True):
            await self._settle(task.record, outcome)

    async def _outcomes(self, tasks: list[Task]) -> list[Outcome]:
        """Run a batch; where it fails as a whole, each task alone, so that one bad record harms no other."""
        records = [task.record for task in tasks]
        self._parts.attempts.running(records)
        self._parts.failpoints.reach("handler", str(records[0]))
        began = time.perf_counter()
        try:
            answers = list(await self._parts.handler.handle(tasks))
        except Exception as error:  # noqa: BLE001 whatever a step or its libraries raise has a fate
            if len(tasks) > 1 and not isinstance(error, DependencyDown):
                return [(await self._outcomes([task]))[0] for task in tasks]
            return [self._fate(task.record, error) for task in tasks]
        finally:
            telemetry.BATCH_SECONDS.labels(self._name).observe(time.perf_counter() - began)
            telemetry.BATCH_RECORDS.labels(self._name).observe(len(tasks))
        emitted: list[Outgoing] = []
        outcomes: list[Outcome] = []
        for task, answer in zip(tasks, answers, strict=True):
            if isinstance(answer, HeadraceError):
                outcomes.append(self._fate(task.record, answer))
            else:
                emitted += answer
                outcomes.append(Emit())
        await self._publish(emitted)  # one wait for the whole batch
        return outcomes

    def _fate(self, record: Record, error: Exception) -> Outcome:
        failures = self._failures.get(str(record), 0) + 1
        outcome = outcome_of(record, self._name, error, failures=failures)
        if isinstance(outcome, Retry):
            self._failures[str(record)] = failures
        return outcome

    async def _settle(self, record: Record, outcome: Outcome) -> None:
        telemetry.RECORDS.labels(self._name, type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Retry | Hold | Reject) and not self._parts.owned(record):
            return  # its partition is another's by now, who will come to a verdict of their own
        match outcome:
            case Retry():
                log.warning("%s: %s again in %.1f s: %s", self._name, record, outcome.after, outcome.reason)
                self._batcher.later(record, outcome.after)
                return
            case Hold():
                self._held.append((record, outcome.reason))
                return
            case Reject():
                telemetry.REJECTS.labels(self._name, outcome.code).inc()
                log.error("%s: %s rejected: %s", self._name, record, outcome.code)
        self._failures.pop(str(record), None)
        await self._publish([*outcome.records, *self._parts.attempts.clear(record)])
        self._parts.failpoints.reach("commit", str(record))
        self._parts.finish(record)

    async def _wait_if_held(self) -> None:
        """Stop pulling: held records go back to the front, and the loop sleeps with everything behind them."""
        if not self._held:
            self._turn = 0
            return
        self._turn += 1
        self._alarm(self._turn, self._held[0][1])
        self._batcher.again(record for record, _ in self._held)
        self._held.clear()
        await asyncio.sleep(_pause(self._turn))
        telemetry.HOLDING.labels(self._name).set(0)

    async def _publish(self, records: Sequence[Outgoing]) -> None:
        """Publish, waiting for the log as long as it takes: until then no offset passes."""
        turn = 0
        while True:
            try:
                await self._parts.publisher.publish(records)
            except DependencyDown as error:
                turn += 1
                self._alarm(turn, str(error))
                await asyncio.sleep(_pause(turn))
            else:
                if turn:
                    telemetry.HOLDING.labels(self._name).set(0)
                return

    def _alarm(self, turn: int, reason: str) -> None:
        telemetry.HOLDING.labels(self._name).set(1)
        if turn <= 1 or turn % 30 == 0:  # a long outage is said once a minute, not in every turn
            log.error("%s holds: %s", self._name, reason)


def _pause(turn: int) -> float:
    return HOLD_SECONDS[min(turn, len(HOLD_SECONDS) - 1)]

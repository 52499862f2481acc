"""A world of one history: processes, wired as the workers' composition roots wire them, on what is simulated."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from processors.attempts import Attempts
from processors.halts import HaltLimits
from processors.handlers import Handler, SinkHandler, StepHandler
from processors.runner import Parts, Runner
from processors.stream.port import Group
from processors.watermark import Watermarks
from producers import dispatcher, relay
from schemas import topics
from schemas.broker import Broker
from schemas.codec import decode
from schemas.envelope import Envelope
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Record
from schemas.work import Task
from sinks.dead_letters import addressed
from sinks.dispatcher import Waiting
from sinks.postgres.waiting import WaitingTables
from tests.simulation import letters, postgres, waiting
from tests.simulation.database import Connection, Database, Engine
from tests.simulation.group import SimulatedConsumer
from tests.simulation.leads import Lead, SimulatedLead
from tests.simulation.log import Log, SimulatedPublisher, View, way
from tests.simulation.loop import OUTSIDE, Process, VirtualLoop
from tests.simulation.outbox import SimulatedOutbox, SimulatedRelayLog
from tests.simulation.plan import Plan
from tests.simulation.steps import Prepare, Read
from tests.simulation.workers import (
    ALLOWANCE,
    HEARS_ALL,
    LIMITS,
    NO_FAILPOINTS,
    READS,
    Blobs,
    Disk,
    Orders,
    SimulatedIndex,
    SimulatedLetters,
    SimulatedProjector,
    SimulatedStream,
)

STATEMENTS = postgres.STATEMENTS | waiting.STATEMENTS | letters.STATEMENTS
WAITING = ("waiting_jobs", "waiting_slices", "waiting_records", "released_jobs")
TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


def _overdue(told: str) -> None:
    raise AssertionError(told)


class World:
    """Processes by their slot, what they work on, and the callers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = VirtualLoop(plan.seed)
        self.log = Log(self.loop)
        self.database = Database(self.loop, STATEMENTS)
        self.leads = {"relay": Lead(), "dispatcher": Lead()}
        self.processes: dict[str, Process] = {}
        self.consumers: list[SimulatedConsumer] = []
        self.streams: dict[str, SimulatedStream] = {}
        self.trace: list[str] = []
        self.made: dict[tuple[str, str], list[str]] = {}
        self.starts = 0
        self.deaths = 0
        self.killed_by = Counter[str]()
        self.redriven: set[tuple[int, int]] = set()
        self.disks: dict[str, str] = {}
        self.mended = False
        self._dispatchers: dict[str, dispatcher.Dispatcher] = {}
        self._failed: dict[str, int] = {}
        self._wanted: set[str] = set()
        self._looked_at = -1
        self.database.on_commit.append(self._ring)

    def close(self) -> None:
        """Let go of everything."""
        self.loop.close()

    def note(self, line: str) -> None:
        """A line of the history."""
        self.trace.append(f"{self.loop.now:.4f} {line}")

    def start(self, slot: str) -> None:
        """A supervised process: it comes back under its slot whenever it dies."""
        self.starts += 1
        self._wanted.add(slot)
        process = self.processes[slot] = Process(slot)
        process.at_death.append(lambda: self._died(slot))
        self.loop.spawn(process, self._ended(slot, process))
        self.note(f"{slot} begins")

    def stop(self, slot: str) -> None:
        """SIGTERM: the process drains and is not started again."""
        self._wanted.discard(slot)
        if slot in self.streams and self.processes[slot].alive:
            self.streams[slot].stop()

    def quiet(self, least: float) -> bool:
        """Whether all is read, committed and relayed, and it is later than `least`."""
        if (
            self.loop.now < least
            or self._looked_at == self.log.version
            or self.database.open
            or len(self.log.groups) < len(READS)
        ):
            return False
        if any(self.database.table(name) for name in WAITING):
            return False
        if not all(letter["tenant"] for letter in self.database.table("dead_letters").values()):
            return False  # whose job nobody knew yet: no caller is shown it
        self._looked_at = self.log.version
        for group in self.log.groups.values():
            for partition, records in self.log.records.items():
                if partition.topic in group.topics and group.committed.get(partition, 0) < len(records):
                    return False
        last = max(((row["xid"], row["seq"]) for row in self.database.table("outbox").values()), default=(0, 0))
        position = self.log.relay_position
        return last <= ((0, 0) if position is None else (position.xid, position.seq))

    def _died(self, slot: str) -> None:
        self.deaths += 1
        self.note(f"{slot} dies")
        if slot in self._wanted:
            self.loop.outside(self.loop.random.uniform(0.1, 0.8), self.start, slot)

    async def _ended(self, slot: str, process: Process) -> None:
        """A process that ends by itself is as dead as one that was killed."""
        try:
            status = await (self._relay(process) if slot.startswith("relay") else self._worker(slot, process))
        except Exception as error:  # noqa: BLE001 whatever a process dies of is told
            self.loop.failures.append(f"{slot} died of {error!r}")
            status = 1
        self.note(f"{slot} ends with {status}")
        self.loop.kill(self.processes[slot])

    async def _relay(self, process: Process) -> int:
        outbox = SimulatedOutbox(self.database, self.leads["relay"], process)
        parts = relay.Parts(outbox, lambda: SimulatedRelayLog(self.log), (), bool, bool)  # type: ignore[arg-type]
        return await relay.Relay(parts).run()

    async def _worker(self, slot: str, process: Process) -> int:
        name = slot.rpartition("-")[0]
        handler = self._handler(name, slot, process)
        group = Group(
            f"headrace.{handler.name}", slot, READS[name], Broker("simulated:0"), commit_seconds=0.5, grace_seconds=2.0
        )
        watermarks = Watermarks()
        consumer = SimulatedConsumer(self.log, group.name, slot, process)
        self.consumers.append(consumer)

        async def build() -> Runner:
            parts = Parts(
                handler=handler,
                publisher=SimulatedPublisher(self.log),
                attempts=Attempts(group.name, Disk(self.disks, slot), View(self.log, topics.ATTEMPTS.name)),
                orders=Orders(View(self.log, topics.CONTROL.name)),
                failpoints=NO_FAILPOINTS,
                finish=watermarks.finish,
                beyond=watermarks.beyond,
                owned=watermarks.is_open,
                limit=LIMITS[name],
                unpack=_as_it_is,
                skips=name not in HEARS_ALL,
                decode=addressed if name == "letters" else decode,
                slot=slot,
                limits=HaltLimits(window=8, share=0.2, least=2) if self.plan.halts else HaltLimits(),
                now=self.loop.time,
                dice=self.loop.random,
            )
            return Runner(parts)

        stream = self.streams[slot] = SimulatedStream(group, watermarks, consumer)
        return await stream.serve_here(build)

    def _handler(self, name: str, slot: str, process: Process) -> Handler:
        engine: Any = Engine(self.database)
        match name:
            case "prepare":
                return StepHandler(Prepare(self.pages_of, self._note_made), 60.0, leave=_overdue)
            case "ocr":
                return StepHandler(
                    Read(self.fate_of, self._failed, self.killed_by, self._note_made), 60.0, leave=_overdue
                )
            case "index":
                return SinkHandler(SimulatedIndex(engine, NO_FAILPOINTS), self.loop.random)
            case "letters":
                return SinkHandler(SimulatedLetters(engine), self.loop.random)
            case "dispatcher":
                return SinkHandler(self._dispatcher(slot, process, engine), self.loop.random)
        return SinkHandler(SimulatedProjector(engine), self.loop.random)

    def _dispatcher(self, slot: str, process: Process, engine: Any) -> Waiting:
        lead: Any = SimulatedLead(self.database, self.leads["dispatcher"], process)
        parts = dispatcher.Parts(
            backlog=WaitingTables(engine, lead, ALLOWANCE),
            publisher=SimulatedPublisher(self.log),
            failpoints=NO_FAILPOINTS,
            weights={},
            allowance=ALLOWANCE,
            holding=bool,
            now=self.loop.time,
        )
        made = self._dispatchers[slot] = dispatcher.Dispatcher(parts)
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            tasks.append(asyncio.create_task(made.run()))
            tasks[0].add_done_callback(partial(self._release_ended, process))

        blobs: Any = Blobs()
        return Waiting(engine, blobs, NO_FAILPOINTS, ALLOWANCE, begin, lambda: [task.cancel() for task in tasks])

    def _release_ended(self, process: Process, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.loop.failures.append(f"{process.name} releases no more: {task.exception()!r}")
            self.loop.kill(process)

    def _ring(self, connection: Connection) -> None:
        """What notifications say, now and then to nobody."""
        if not connection.written:
            return
        tables = {table for table, _ in connection.written}
        for news, heard in (("waiting", {"waiting_jobs", "waiting_records"}), ("settled", {"jobs"})):
            if tables & heard and self.loop.random.random() < 0.95:
                for made in self._dispatchers.values():
                    self.loop.outside(way(self.loop), OUTSIDE.copy().run, made.hear, news)

    def _note_made(self, step: str, task: Task, records: Sequence[Outgoing]) -> None:
        self.made[f"headrace.{step}", str(task.envelope.id)] = [dict(r.headers)["ce_id"].decode() for r in records]

    @property
    def breaks(self) -> bool:
        """Whether any page fails until somebody mends what is broken."""
        return any("broken" in job.pages for job in self.plan.jobs)

    def pages_of(self, job: str) -> int:
        """How many pages a job's document has."""
        return len(self.plan.jobs[number_of(job)].pages)

    def fate_of(self, job: str, page: int, run: int) -> str:
        """What reading a page comes to; what failed once goes well when it is tried again, what broke when mended."""
        fate = self.plan.jobs[number_of(job)].pages[page - 1]
        return "ok" if run > 1 or (fate == "broken" and self.mended) else fate

    def envelope(self, number: int, kind: str, *, run: int = 1, part: int = 0, word: str = "") -> Envelope:
        """What a caller's record says of itself."""
        job = name_of(number)
        return Envelope(
            id=uuid.uuid5(uuid.NAMESPACE_OID, f"{job}|{kind}|{run}|{part}|{word}"),
            kind=kind,
            at=datetime.fromtimestamp(self.loop.now, UTC),
            job=job,
            run=run,
            part=part,
            tenant=self.plan.jobs[number].tenant,
            plan=DOCUMENT.hash,
            lane=self.plan.jobs[number].lane,
            document=f"doc-{job}",
            traceparent=TRACE,
        )


def name_of(number: int) -> str:
    """A job's id."""
    return f"job_{'ab'[number % 2]}_{number}"


def number_of(job: str) -> int:
    """A job's place in the plan."""
    return int(job.rpartition("_")[2])


async def _as_it_is(record: Record) -> Record:
    return record

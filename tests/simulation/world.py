"""A world of one history: the real classes, wired as the workers' composition roots wire them, on what is simulated."""

import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from processors.attempts import Attempts
from processors.handlers import Handler, SinkHandler, StepHandler
from processors.runner import Parts, Runner
from processors.stream.kafka_stream import KafkaStream
from processors.stream.port import Feed, Group
from processors.watermark import Watermarks
from producers import relay
from schemas import topics
from schemas.broker import Broker
from schemas.control import ControlEntry, StepOrder, step_key
from schemas.envelope import Envelope
from schemas.failpoints import Failpoints
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Record
from schemas.work import Task
from sinks.fenced_index import FencedIndex
from sinks.index_fence import Admission
from sinks.projector import Projector
from tests.simulation.database import Database, Engine
from tests.simulation.group import SimulatedConsumer
from tests.simulation.log import Log, SimulatedPublisher, View
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.outbox import Lead, SimulatedOutbox, SimulatedRelayLog
from tests.simulation.plan import Plan
from tests.simulation.postgres import STATEMENTS
from tests.simulation.steps import Prepare, Read

NO_FAILPOINTS = Failpoints("", None)
TRACE = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
READS = {
    "prepare": (topics.PREPARE.name,),
    "ocr": (topics.OCR.name,),
    "index": (topics.VECTORS.name,),
    "projector": (topics.JOBS.name, topics.EVENTS.name),
}
OWN_TOPICS = frozenset(
    topic.name for topic in (topics.RESULTS, topics.CONTROL, topics.ATTEMPTS, topics.DEAD_LETTERS, topics.RELAY)
)
"""Topics on which nobody but one writer says each thing once, or whose records are not work."""
LIMITS = {"prepare": 1, "ocr": 3, "index": 8, "projector": 8}
_FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


class SimulatedStream(KafkaStream):
    """The real stream over a consumer of the log in memory."""

    def __init__(self, group: Group, watermarks: Watermarks, consumer: SimulatedConsumer) -> None:
        super().__init__(group, watermarks)
        self._simulated = consumer

    async def serve_here(self, build: Callable[[], Awaitable[Feed]]) -> int:
        """As `serve`, on the loop that runs."""
        return await self._serve(build, bool)

    def stop(self) -> None:
        """SIGTERM."""
        self._stopping.set()

    def _consumer(self) -> Any:
        return self._simulated


class SimulatedProjector(Projector):
    """The real projector over the tables in memory."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._failpoints = NO_FAILPOINTS


class SimulatedIndex(FencedIndex):
    """An index in the fence's own transaction."""

    index = "pgvector"
    transactional = True
    name = "index-pgvector"

    async def _delete(self, connection: Any, admitted: Admission) -> None:
        assert not admitted.drops

    async def _replace(self, connection: Any, admitted: Admission) -> None:
        for page in admitted.pages:
            row = {"job": page.job, "page": page.page, "run": page.run, "event": page.event}
            connection.put("chunks", (str(page.place),), row)


class Orders:
    """`headrace.control` as a worker sees it."""

    def __init__(self, view: View) -> None:
        self._view = view

    def cancelled(self, job: str, run: int) -> bool:
        value = self._view.get(job.encode())
        return value is not None and run <= ControlEntry.model_validate_json(value).run

    def order(self, step: str) -> StepOrder | None:
        value = self._view.get(step_key(step))
        return None if value is None else StepOrder.model_validate_json(value)


def _overdue(told: str) -> None:
    raise AssertionError(told)


class World:
    """Processes by their slot, what they work on, and the callers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = VirtualLoop(plan.seed)
        self.log = Log(self.loop)
        self.database = Database(self.loop, STATEMENTS)
        self.lead = Lead()
        self.processes: dict[str, Process] = {}
        self.consumers: list[SimulatedConsumer] = []
        self.streams: dict[str, SimulatedStream] = {}
        self.trace: list[str] = []
        self.made: dict[tuple[str, str], list[str]] = {}
        self.deaths = 0
        self.killed_by = Counter[str]()
        self.redriven: set[tuple[str, int]] = set()
        self._failed: dict[str, int] = {}
        self._folder = Path(tempfile.mkdtemp(dir=_FOLDER, prefix="headrace-simulation-"))
        self._wanted: set[str] = set()
        self._looked_at = -1

    def close(self) -> None:
        """Let go of everything."""
        self.loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def note(self, line: str) -> None:
        """A line of the history."""
        self.trace.append(f"{self.loop.now:.4f} {line}")

    def start(self, slot: str) -> None:
        """A supervised process: it comes back under its slot whenever it dies."""
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
        outbox = SimulatedOutbox(self.database, self.lead, process)
        parts = relay.Parts(outbox, lambda: SimulatedRelayLog(self.log), (), bool, bool)  # type: ignore[arg-type]
        return await relay.Relay(parts).run()

    async def _worker(self, slot: str, process: Process) -> int:
        name = slot.rpartition("-")[0]
        handler = self._handler(name)
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
                attempts=Attempts(group.name, slot, self._folder, View(self.log, topics.ATTEMPTS.name)),
                orders=Orders(View(self.log, topics.CONTROL.name)),
                failpoints=NO_FAILPOINTS,
                finish=watermarks.finish,
                owned=watermarks.is_open,
                limit=LIMITS[name],
                unpack=_as_it_is,
                skips=name != "projector",
                slot=slot,
                now=self.loop.time,
                dice=self.loop.random,
            )
            return Runner(parts)

        stream = self.streams[slot] = SimulatedStream(group, watermarks, consumer)
        return await stream.serve_here(build)

    def _handler(self, name: str) -> Handler:
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
        return SinkHandler(SimulatedProjector(engine), self.loop.random)

    def _note_made(self, step: str, task: Task, records: Sequence[Outgoing]) -> None:
        self.made[f"headrace.{step}", str(task.envelope.id)] = [dict(r.headers)["ce_id"].decode() for r in records]

    def pages_of(self, job: str) -> int:
        """How many pages a job's document has."""
        return len(self.plan.jobs[number_of(job)].pages)

    def redrives(self, number: int) -> bool:
        """Whether the job's failed pages are tried again; one that failed as a whole takes a retry instead."""
        job = self.plan.jobs[number]
        failed = all(fate in ("refused", "poison") for fate in job.pages)
        return job.redrive and job.cancel is None and not failed

    def fate_of(self, job: str, page: int, run: int) -> str:
        """What reading a page comes to; what failed once goes well when it is tried again."""
        return "ok" if run > 1 else self.plan.jobs[number_of(job)].pages[page - 1]

    def envelope(self, number: int, kind: str, *, run: int = 1, part: int = 0, word: str = "") -> Envelope:
        """What a caller's record says of itself."""
        job = name_of(number)
        return Envelope(
            id=uuid.uuid5(uuid.NAMESPACE_OID, f"{job}|{kind}|{run}|{part}|{word}"),
            kind=kind,
            at=datetime.now(UTC),
            job=job,
            run=run,
            part=part,
            tenant=self.plan.jobs[number].tenant,
            plan=DOCUMENT.hash,
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

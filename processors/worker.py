"""Composition root of the steps: `python -m processors.worker STEP` is one member of the step's consumer group."""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

from processors import logs, telemetry
from processors.attempts import Attempts
from processors.endings import Endings
from processors.guard import Guard
from processors.halts import HaltLimits
from processors.handlers import Handler, StepHandler
from processors.inflight import InflightFile
from processors.pulse import Pulse
from processors.runner import Parts, Runner
from processors.stream.control_view import ControlView
from processors.stream.port import Adapter, Group
from processors.watermark import Watermarks
from producers import heap, membership, provisioning, takeover
from producers.claims import ClaimingPublisher, redeem
from producers.compacted_view import CompactedView
from producers.group_view import GroupView
from producers.publisher import KafkaPublisher
from schemas.codec import decode
from schemas.documents import Payload
from schemas.envelope import Envelope
from schemas.errors import DependencyDown
from schemas.failpoints import Failpoints
from schemas.ports import BlobStore
from schemas.records import Record
from schemas.settings import Settings
from schemas.topics import ATTEMPTS, CONTROL, DEAD_LETTERS, EVENTS, GROUPS, SUCCEEDS
from schemas.work import Step

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """How one step or sink runs: its handler, its largest batch, and its stream where the settings name none.

    `skips` and `decode` as in `runner.Parts`; so is `unpack`, which without it fetches what was put aside.
    """

    name: str
    handler: Handler
    limit: int
    stream: str
    skips: bool = True
    unpack: Callable[[Record], Awaitable[Record]] | None = None
    decode: Callable[[Record], tuple[Envelope, Payload]] = decode
    pulse: Pulse = field(default_factory=Pulse)


@dataclass(frozen=True, slots=True)
class Planned:
    """A step as a worker runs it. `batch` 1: on a CPU a page at a time loses nothing; `deadline` in seconds a call."""

    build: Callable[[Settings, BlobStore], Step]
    batch: int
    deadline: float
    stream: str


def _prepare(settings: Settings, blobs: BlobStore) -> Step:
    from processors.engines.factory import orienter
    from processors.steps.prepare import Prepare

    return Prepare(orienter(settings), blobs, settings, on_death=telemetry.CHILD_DEATHS.labels("prepare").inc)


def _ocr(settings: Settings, blobs: BlobStore) -> Step:
    from processors.engines.factory import layout_finder, reader
    from processors.steps.ocr import Ocr

    return Ocr(reader(settings), layout_finder(settings), blobs)


def _chunk(settings: Settings, blobs: BlobStore) -> Step:
    from processors.steps.chunk import Chunk

    return Chunk()


def _embed(settings: Settings, blobs: BlobStore) -> Step:
    from processors.engines.factory import embedder
    from processors.steps.embed import Embed

    return Embed(embedder(settings))


STEPS = {
    "prepare": Planned(_prepare, 1, 24 * 3600, "kafka"),  # its child has a deadline of its own, by page
    "ocr": Planned(_ocr, 1, 300, "kafka"),
    "chunk": Planned(_chunk, 64, 60, "faust"),
    "embed": Planned(_embed, 8, 120, "faust"),
}


def adapter(name: str) -> Adapter:
    """The stream of that name; imported only when chosen, since Faust takes most of a second."""
    modules = {"faust": ("faust_stream", "FaustStream"), "kafka": ("kafka_stream", "KafkaStream")}
    module, member = modules[name]
    found: Adapter = getattr(import_module(f"processors.stream.{module}"), member)
    return found


def run(job: Job, settings: Settings, blobs: BlobStore, endings: Endings) -> int:
    """Be a member of the job's group until told to stop; the exit status."""
    logs.set_up()
    group = Group(
        f"headrace.{job.name}", settings.slot, GROUPS[f"headrace.{job.name}"], settings.broker,
        settings.session_seconds, grace_seconds=0.7 * settings.grace_seconds,
    )  # fmt: skip
    if settings.run_dir is None and not settings.dev:
        raise SystemExit("HEADRACE_RUN_DIR is not set: without it an input that ends its worker is tried for ever")
    _wait_for_topics(group, settings)
    _until_answered(lambda: _join_anew(group))
    _until_answered(lambda: _take_over(group))
    watermarks, guard = Watermarks(), Guard(settings, endings)
    if settings.metrics_port:
        telemetry.serve(settings.metrics_port, settings.metrics_host, lambda: guard.complaint)

    async def build() -> Runner:
        marks, orders = CompactedView(ATTEMPTS.name, settings.broker), ControlView(CONTROL.name, settings.broker)
        notes = InflightFile(settings.run_dir, settings.slot) if settings.run_dir is not None else None
        await asyncio.gather(marks.open(), orders.open())
        runner = Runner(
            Parts(
                handler=job.handler,
                publisher=ClaimingPublisher(KafkaPublisher(settings.broker, settings.publish_seconds), blobs),
                attempts=Attempts(group.name, notes, marks),
                orders=orders,
                failpoints=Failpoints(settings.slot, settings.run_dir),
                finish=watermarks.finish,
                owned=watermarks.is_open,
                beyond=watermarks.beyond,
                limit=job.limit,
                unpack=job.unpack or partial(redeem, blobs=blobs),
                skips=job.skips,
                decode=job.decode,
                slot=settings.slot,
                pulse=job.pulse,
                leaving=guard.leaving,
                limits=HaltLimits(settings.halt_window, settings.halt_share, settings.halt_least),
            )
        )
        guard.watch(watermarks, job.pulse, GroupView(settings.broker, group.name, group.topics))
        telemetry.HALTED.labels(job.name).set_function(lambda: float(runner.halted() is not None))
        return runner

    stream = adapter(settings.stream or job.stream)(group, watermarks)
    return stream.serve(build, lambda: mark_ready(settings))


def leave(status: int) -> NoReturn:
    """End the process as it is: Python would wait for the thread of an engine call that outlasts the grace."""
    logging.shutdown()
    os._exit(status)


def mark_ready(settings: Settings) -> None:
    """Tell the supervisor that this process works: partitions assigned, engine loaded."""
    telemetry.READY.set()
    if settings.run_dir is not None:
        mark = {"pid": os.getpid(), "at": time.time()}
        waiting = settings.run_dir / f"{settings.slot}.ready.{os.getpid()}"
        waiting.write_text(json.dumps(mark))
        waiting.rename(settings.run_dir / f"{settings.slot}.ready")
    heap.settle()


def _join_anew(group: Group) -> bool:
    """Be asked anew what this slot reads, where the release before it read other topics."""
    if asyncio.run(membership.leave_for_others(group.broker, group.name, group.instance, group.topics)):
        log.warning("%s: %s read other topics before and joins anew", group.name, group.instance)
    return True


def _take_over(group: Group) -> bool:
    """Begin where the group came to that read a topic of ours in the release before, once it reads it no more."""
    topic, predecessor = SUCCEEDS.get(group.name, ("", ""))
    if not topic or asyncio.run(takeover.take_over(group.broker, group.name, topic, predecessor)):
        return True
    log.warning("%s waits: workers of the release before read %s as %s", group.name, topic, predecessor)
    return False


def _until_answered(done: Callable[[], bool]) -> None:
    while True:
        try:
            if done():
                return
        except DependencyDown as error:
            log.warning("%s", error)
        time.sleep(1)


def _wait_for_topics(group: Group, settings: Settings) -> None:
    """Refuse to start without topics: Faust ignores missing ones for ever. A log that is away is waited for."""
    needed = (*group.topics, EVENTS.name, CONTROL.name, ATTEMPTS.name, DEAD_LETTERS.name)
    while True:
        try:
            return provisioning.check(settings.broker, needed, dev=settings.dev)
        except DependencyDown as error:
            log.warning("%s", error)
            time.sleep(1)


def main(arguments: Any = None) -> int:
    """Run the step named on the command line."""
    from sinks.blobs import open_blobs

    (name,) = sys.argv[1:] if arguments is None else arguments
    settings = Settings()
    planned = STEPS[name]
    blobs = open_blobs(settings.blobs)
    pulse, endings = Pulse(), Endings(settings.slot, settings.run_dir)
    leave = partial(endings.end, "engine_deadline")
    handler = StepHandler(planned.build(settings, blobs), planned.deadline, leave=leave, pulse=pulse)
    job = Job(name, handler, min(planned.batch, settings.batch), planned.stream, pulse=pulse)
    return run(job, settings, blobs, endings)


if __name__ == "__main__":
    leave(main())

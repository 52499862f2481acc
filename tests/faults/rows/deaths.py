"""Rows 1 to 4, 8 and 9: processes that end in the middle of their work, or fall silent and come back."""

import os
import signal
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from confluent_kafka import Producer

from deploy.local.samples import letters
from producers.clients import librdkafka
from schemas.topics import CHUNK
from tests.faults.extra import Extra
from tests.faults.suite import Row, Scene
from tests.faults.verdict import Expected
from tests.faults.world import Plan
from tests.flow.stops import stopped
from tests.support import until

_WORKERS = ("prepare-1", "ocr-1", "ocr-2", "chunk-1", "embed-1")
_SINKS = ("projector-1", "index-pgvector-1", "index-weaviate-1", "dispatcher-1", "relay-1")
_READERS = tuple(slot for slot in _SINKS if slot != "relay-1")
SESSION = 10.0
_SLOW = Plan(settings=(("HEADRACE_ENGINES", "sleep:15"),))


def _there(scene: Scene, slots: tuple[str, ...]) -> list[str]:
    return [slot for slot in slots if slot in scene.world.stack.pids()]


def _mid_record(scene: Scene) -> None:
    for slot in ("ocr-1", "embed-1", "dispatcher-1", *scene.chance.sample([*_WORKERS, *_there(scene, _SINKS)], 3)):
        scene.killer.at(slot, "handler")
    scene.killer.at("dead-letters-1", "handler", provoke=partial(_spoilt, scene))


def _after_the_write(scene: Scene) -> None:
    for slot in _there(scene, _SINKS):
        scene.killer.at(slot, "sink")
    scene.killer.at("dispatcher-1", "decided")
    scene.killer.at("dead-letters-1", "sink", provoke=partial(_spoilt, scene))


def _before_the_commit(scene: Scene) -> None:
    chosen = (*scene.chance.sample(_WORKERS, 2), "projector-1", *scene.chance.sample(_there(scene, _READERS), 1))
    for slot in (*chosen, "dispatcher-1", "relay-1"):
        scene.killer.at(slot, "commit")
    scene.killer.at("dispatcher-1", "released")
    scene.killer.at("dead-letters-1", "commit", provoke=partial(_spoilt, scene))
    for slot in ("reconciler-1", "eraser-1"):  # whose work is on no topic
        scene.killer.now(slot)


def _spoilt(scene: Scene) -> None:
    """A record that nobody can read: a dead letter comes of it."""
    producer = Producer(librdkafka(scene.world.broker))
    producer.produce(CHUNK.name, b"{", b"spoilt")
    producer.flush(20)


def _told_to_end(scene: Scene) -> None:
    """A page takes 15 s: what a worker that is told to end cannot finish within its grace is read again."""
    path = scene.world.folder / "two.pdf"
    letters(path, 2)
    scene.submit("two.pdf", path.read_bytes(), Expected("demo", pages=2))
    run = scene.world.stack.folder / "run"
    until(lambda: any(_busy(run, slot) for slot in ("ocr-1", "ocr-2")), 60, "a page in work")
    slot = next(slot for slot in ("ocr-1", "ocr-2") if _busy(run, slot))
    since, begun = len(scene.world.stack.events()), time.monotonic()
    os.kill(scene.world.stack.pids()[slot], signal.SIGTERM)
    until(lambda: slot in _ended(scene, since), 40, f"{slot} ended")
    grace = time.monotonic() - begun
    scene.killer.recovered(slot, since)
    scene.told.append(f"{slot} ended {grace:.1f} s after SIGTERM")
    scene.expect(grace <= 30, f"{slot} took {grace:.1f} s to end")


def _zombie(scene: Scene) -> None:
    """Two at a time are silent for longer than their session, and wake up with work in hand."""
    for slots in (("ocr-1", "dispatcher-1"), ("projector-1", "relay-1")):
        since, pids = len(scene.world.stack.events()), scene.world.stack.pids()
        with ExitStack() as held:
            for slot in slots:
                held.enter_context(stopped(pids[slot]))
            scene.last(SESSION + 5)
        for slot in slots:
            until(partial(_back, scene, slot, since), 40, f"{slot} works again")


def _blocked(scene: Scene) -> None:
    """The event loop of one worker stands still: its watchdog ends it, and the others go on."""
    order = scene.world.folder / "block"
    settings = {"BLOCK_FILE": str(order)}
    with Extra(scene.world.stack, "chunk-1", "chunk-9", settings, "tests.faults.blocked") as extra:
        extra.until_ready()
        order.touch()
        until(lambda: not order.exists(), 60, "the worker to be blocked")
        begun, child = time.monotonic(), extra.child
        until(lambda: child is not None and child.poll() is not None, 30, "the watchdog to end it")
        scene.told.append(f"ended after {time.monotonic() - begun:.1f} s")
        scene.expect("event loop" in extra.log, "the log does not say why it ended")


def _back(scene: Scene, slot: str, since: int) -> bool:
    """It either went on, or ended itself and was started again."""
    return slot not in _ended(scene, since) or slot in scene.world.stack.pids()


def _ended(scene: Scene, since: int) -> set[str]:
    return {event["slot"] for event in scene.world.stack.events()[since:] if event["event"] == "exit"}


def _busy(run: Path, slot: str) -> bool:
    noted = run / f"{slot}.inflight"
    return noted.exists() and "headrace.ocr" in noted.read_text()


ROWS = (
    Row(1, "worker killed in the middle of a record", _mid_record, {"handler": 7}),
    Row(2, "sink killed between its write and its answer", _after_the_write, {"sink": 5, "decided": 1}),
    Row(3, "killed between answer and commit", _before_the_commit, {"commit": 7, "released": 1}),
    Row(4, "SIGTERM with 15 s of work left", _told_to_end, plan=_SLOW, fed=False),
    Row(8, "worker, dispatcher, projector, relay silent for longer than a session", _zombie),
    Row(9, "the event loop of a worker stands still", _blocked),
)

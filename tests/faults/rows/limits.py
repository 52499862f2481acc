"""Rows 25 and 27 to 29: clocks that jump, models that are not there, too little memory, no file descriptors."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local.samples import letters
from schemas.topics import DEAD_LETTERS, VECTORS
from tests.faults.documents import sections
from tests.faults.history import topic
from tests.faults.suite import Row, Scene
from tests.faults.verdict import Expected
from tests.faults.world import Plan
from tests.support import read, until

_STARVED = ("api-1", "ocr-1", "projector-1", "relay-1")
_FAILED = frozenset({"failed"})
_REAL = Plan(settings=(("HEADRACE_ENGINES", "real"),), models=True)
_CLOCK = Plan(clocks=True)
_ALMOST_AN_HOUR = 59 * 60  # a broker refuses what comes from more than an hour ahead


def _jumps(scene: Scene) -> None:
    """Every clock of the platform, not those of its servers, jumps forward and back, and is set right."""
    for jump in (_ALMOST_AN_HOUR, -_ALMOST_AN_HOUR, 0):
        scene.world.set_clocks(jump)
        scene.last(12)


def _no_model(scene: Scene) -> None:
    """A model is gone, then cut short: its worker does not work and says so; put back, the work is done by it."""
    model = max((scene.world.folder / "models" / "minilm").glob("*.onnx"), key=lambda path: path.stat().st_size)
    right = model.read_bytes()
    scene.submit("first.txt", sections(3, 1).encode(), Expected("demo", mark="Pump 1 of", pages=3))
    for spoil in (model.unlink, lambda: model.write_bytes(right[: len(right) // 2])):
        spoil()
        since = len(scene.world.stack.events())
        os.kill(scene.world.stack.pids()["embed-1"], 9)
        scene.submit("later.txt", sections(3, 2).encode(), Expected("demo", mark="Pump 2 of", pages=3))
        scene.last(8)
        told = scene.world.stack.events()[since:]
        ready = [one for one in told if one["slot"] == "embed-1" and one["event"] == "ready"]
        scene.expect(not ready, "a worker without its model said that it works")
        model.write_bytes(right)
        scene.killer.recovered("embed-1", since)
    until(lambda: scene.world.caught_up(), 60, "nothing waits")
    digests = {one.value["engine"]["digest"] for one in topic(scene.world.broker, VECTORS.name)}
    scene.expect(len(digests) == 1, f"vectors of {len(digests)} models")


def _deadly(scene: Scene) -> None:
    """A page that ends its worker each time is a dead letter after three deaths; no other page pays for it."""
    page = scene.world.folder / "deadly.pdf"
    letters(page, 1)
    failpoints = scene.world.stack.folder / "run" / "failpoints"
    since = len(scene.world.stack.events())
    armed = [failpoints / f"{slot}.handler" for slot in ("ocr-1", "ocr-2")]

    def deaths() -> int:
        for path in armed:
            path.touch()
        told = scene.world.stack.events()[since:]
        return sum(one["event"] == "exit" and one["slot"].startswith("ocr") for one in told)

    scene.submit("deadly.pdf", page.read_bytes(), Expected("demo", _FAILED, pages=1))
    until(lambda: deaths() >= 3 or _letters(scene, "poison_record"), 90, "three deaths")
    for path in armed:
        path.unlink(missing_ok=True)
    until(lambda: _letters(scene, "poison_record"), 60, "a dead letter")
    told = scene.world.stack.events()[since:]
    count = sum(one["event"] == "exit" and one["slot"].startswith("ocr") for one in told)
    scene.expect(count == 3, f"the page was tried until its {count}th death")
    scene.submit("after.txt", sections(3, 3).encode(), Expected("demo", mark="Pump 3 of", pages=3))
    _child_without_memory(scene, page)


def _child_without_memory(scene: Scene, page: Path) -> None:
    """The process that decodes may take no more memory: its document fails, its parent works on."""
    worker = scene.world.stack.pids()["prepare-1"]
    for child in psutil.Process(worker).children(recursive=True):
        _, hard = resource.prlimit(child.pid, resource.RLIMIT_AS)
        resource.prlimit(child.pid, resource.RLIMIT_AS, (child.memory_info().vms, hard))
    either = frozenset({"failed", "succeeded"})
    scene.submit("starved.pdf", page.read_bytes(), Expected("demo", either, pages=1))
    scene.submit("fed.txt", sections(3, 4).encode(), Expected("demo", mark="Pump 4 of", pages=3))
    scene.last(5)
    scene.expect(scene.world.stack.pids()["prepare-1"] == worker, "the worker ended with its child")


def _letters(scene: Scene, code: str) -> bool:
    found = read(scene.world.broker, DEAD_LETTERS.name)
    return any(dict(letter.headers() or ()).get("headrace_code") == code.encode() for letter in found)


@contextmanager
def _starved(pid: int) -> Iterator[None]:
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (psutil.Process(pid).num_fds(), hard))
    try:
        yield
    finally:
        if psutil.pid_exists(pid):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _descriptors(scene: Scene) -> None:
    scene.last(2)
    for slot in _STARVED:
        with _starved(scene.world.stack.pids()[slot]):
            scene.last(6)
        scene.last(1)
    scene.told.append(f"callers were answered {dict(scene.feeder.answers)}")


ROWS = (
    Row(25, "the platform's clocks jump by an hour and back", _jumps, plan=_CLOCK, needs=("cc",), clocks=False),
    Row(27, "a model missing, then cut short", _no_model, plan=_REAL, fed=False),
    Row(28, "an input that ends its worker; a child without memory", _deadly, fed=False),
    Row(29, "no file descriptors left, process by process", _descriptors),
)

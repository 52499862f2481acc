"""Row 29: processes run out of file descriptors, and get them back."""

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from tests.faults.suite import Row, Scene

_STARVED = ("api-1", "ocr-1", "projector-1", "relay-1")


@contextmanager
def _starved(pid: int) -> Iterator[None]:
    process = psutil.Process(pid)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (process.num_fds(), hard))
    try:
        yield
    finally:
        if process.is_running():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def _descriptors(scene: Scene) -> None:
    scene.last(2)
    for slot in _STARVED:
        with ExitStack() as held:
            held.enter_context(_starved(scene.world.stack.pids()[slot]))
            scene.last(6)
        scene.last(1)
    scene.told.append(f"callers were answered {dict(scene.feeder.answers)}")


ROWS = (Row(29, "no file descriptors left, process by process", _descriptors),)

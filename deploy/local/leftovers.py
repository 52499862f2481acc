"""What a killed supervisor left running: found by process id and start time, and ended."""

import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from deploy.local import layout

_SAME_START = 1.5  # seconds: the kernel counts from boot, and the boot time it tells moves with the clock


def record(path: Path, pids: Iterable[int]) -> None:
    """Write which processes are ours, for the next supervisor."""
    known = []
    for pid in pids:
        try:
            known.append({"pid": pid, "started": psutil.Process(pid).create_time()})
        except psutil.NoSuchProcess:
            continue
    layout.write(path, known)


def end(path: Path, *, grace: float = 5.0) -> list[int]:
    """End the recorded processes that still run, and forget the record; their pids."""
    victims = [process for entry in layout.read(path) or [] if (process := _same(entry)) is not None]
    for process in victims:
        _signal(process, hard=False)
    deadline = time.monotonic() + grace
    while any(_alive(process) for process in victims) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in victims:
        _signal(process, hard=True)
    path.unlink(missing_ok=True)
    return [process.pid for process in victims]


def _same(entry: dict[str, float]) -> psutil.Process | None:
    try:
        process = psutil.Process(int(entry["pid"]))
        same = abs(process.create_time() - entry["started"]) < _SAME_START
    except psutil.NoSuchProcess:
        return None
    return process if same and _alive(process) else None


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, *, hard: bool) -> None:
    try:
        if hard:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return

"""What a figure was measured on, and whether neighbours disturbed it."""

import os
import platform
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import psutil

NEIGHBOURS_LIMIT = 0.10
"""A round in which others took more than this share of the machine is inconclusive."""


def describe() -> dict[str, object]:
    """Commit, dirty flag and machine."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def cpu_of(processes: Iterable[psutil.Process]) -> dict[int, float]:
    """CPU seconds of each process, with those of its children that have ended."""
    found = {}
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found[process.pid] = times.user + times.system + times.children_user + times.children_system
    return found


def tree(pid: int) -> list[psutil.Process]:
    """A process and everything below it."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def own_cpu() -> float:
    """CPU seconds of this process and all below it."""
    return sum(cpu_of([psutil.Process(), *tree(os.getpid())[1:]]).values())


def resident(pid: int) -> float:
    """Resident megabytes of a process and everything below it."""
    return sum(process.memory_info().rss for process in tree(pid)) / 1e6


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


@dataclass(slots=True)
class Span:
    """Wall time, and the CPU seconds of the whole machine, between `begin` and `end`."""

    began: float = field(default_factory=time.monotonic)
    busy: float = field(default_factory=_busy)

    def end(self, ours: float) -> dict[str, float | bool]:
        """Seconds since, CPU seconds of ours, and the neighbours' share of the machine."""
        wall = time.monotonic() - self.began
        others = max(0.0, _busy() - self.busy - ours) / (wall * (os.cpu_count() or 1))
        return {"wall": wall, "cpu": ours, "neighbours": others, "conclusive": others <= NEIGHBOURS_LIMIT}

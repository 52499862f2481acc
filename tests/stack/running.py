"""Stacks under test: started as processes, watched through what they write, ended whatever happens."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support import until

TRIVIAL = Path(__file__).with_name("trivial_stack.py")


class Running:
    """A supervisor's process and the directory that it works in."""

    def __init__(self, data: Path, process: subprocess.Popen[str], said: Path) -> None:
        self.data = data
        self.process = process
        self._said = said

    @property
    def said(self) -> str:
        return self._said.read_text()

    def status(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.data / "run" / "status.json").read_text())
        except FileNotFoundError:
            return None
        return found

    def ready(self, seconds: float = 20.0) -> dict[str, Any]:
        """The status once everything works."""

        def found() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.said
            status = self.status()
            return status if status and status["ready"] and all(slot["ready"] for slot in status["slots"]) else None

        return until(found, seconds, "a ready stack")

    def pids(self) -> dict[str, int]:
        status = self.status()
        assert status is not None
        return {slot["slot"]: slot["pid"] for slot in status["slots"]}

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.data / "run" / "events.ndjson").read_text().splitlines()]


@contextmanager
def running(data: Path, argv: list[str], env: dict[str, str] | None = None) -> Iterator[Running]:
    """Run a supervisor; it and its children are gone afterwards."""
    data.mkdir(exist_ok=True)
    said = data / "said.txt"
    with said.open("w") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, text=True, env=env)
    try:
        yield Running(data, process, said)
    finally:
        process.terminate()
        try:
            process.wait(45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def trivial(data: Path) -> list[str]:
    return [sys.executable, str(TRIVIAL), str(data)]


def headrace(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *arguments]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

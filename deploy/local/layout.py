"""The data directory of one embedded stack: what lies where, and that only one supervisor works in it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO


class AlreadyUp(Exception):
    """Another supervisor works in the data directory; `pid` is its."""

    def __init__(self, data: Path, pid: str) -> None:
        super().__init__(f"a stack is already up in {data} (pid {pid})")
        self.pid = pid


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of the data directory `data` (absolute)."""

    data: Path

    @property
    def run(self) -> Path:
        """Marks of the running stack: `<slot>.ready`, and what follows."""
        return self.data / "run"

    @property
    def logs(self) -> Path:
        """One `<slot>.log` each."""
        return self.data / "logs"

    @property
    def ports(self) -> Path:
        """The ports, kept over restarts."""
        return self.data / "ports.json"

    @property
    def secrets(self) -> Path:
        """Keys of job ids and passwords of the database roles, mode 0600."""
        return self.data / "secrets.json"

    @property
    def credentials(self) -> Path:
        """The address and the plain API keys, for the command line, mode 0600."""
        return self.data / "credentials.json"

    @property
    def header(self) -> Path:
        """The first tenant's key as a header that `curl -H @FILE` reads, mode 0600."""
        return self.data / "demo.header"

    @property
    def status(self) -> Path:
        """What `headrace status` reads."""
        return self.run / "status.json"

    @property
    def children(self) -> Path:
        """Process ids and start times, for the next supervisor should this one be killed."""
        return self.run / "children.json"

    @property
    def events(self) -> Path:
        """One line for each start, exit and ready of a slot."""
        return self.run / "events.ndjson"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives; holds its pid."""
        return self.data / "up.lock"

    def make(self) -> None:
        """Make the folders, readable by their owner alone."""
        for folder in (self.data, self.run, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ready(self, slot: str) -> Path:
        """The mark that a slot's process leaves once it works."""
        return self.run / f"{slot}.ready"

    def log(self, slot: str) -> Path:
        """Where a slot's output goes."""
        return self.logs / f"{slot}.log"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one supervisor of this directory; raises `AlreadyUp`."""
        with self.lock.open("a+") as file:
            deadline = time.monotonic() + 0.3  # `holder` takes the lock for a moment
            while not _lock(file):
                if time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                raise AlreadyUp(self.data, self.lock.read_text().strip() or "unknown")
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            file.truncate(0)

    def holder(self) -> int | None:
        """The pid of the supervisor that works here now, if any."""
        try:
            with self.lock.open("r") as file:
                return None if _lock(file) else int(file.read().strip() or 0) or None
        except FileNotFoundError:
            return None


def write(path: Path, content: Any) -> None:
    """Write JSON that nobody sees half-written and only the owner reads."""
    write_text(path, json.dumps(content, indent=2))


def write_text(path: Path, content: str) -> None:
    """The same for text."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(content)
    draft.replace(path)


def read(path: Path) -> Any:
    """The JSON of a file, None where there is no such file."""
    return json.loads(path.read_text()) if path.exists() else None


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

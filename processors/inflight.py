"""What a worker was running when it ended: a note on its own disk, written before each batch."""

import os
from pathlib import Path
from typing import Protocol


class Notes(Protocol):
    """One note, which outlives the process that wrote it."""

    def left(self) -> str:
        """What the last process left; empty where it ended cleanly."""
        ...

    def write(self, text: str) -> None:
        """Instead of what was noted before."""
        ...

    def close(self) -> None:
        """A clean end: nothing is left."""
        ...


class InflightFile:
    """`Notes` in `<slot>.inflight`, which outlives a kill -9 (not a power cut)."""

    def __init__(self, run_dir: Path, slot: str) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        self._path = run_dir / f"{slot}.inflight"
        self._left = self._path.read_text(errors="replace") if self._path.exists() else ""
        self._file: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def left(self) -> str:
        """The file as it lay there when it was opened."""
        return self._left

    def write(self, text: str) -> None:
        """One line; a kill between the two calls leaves the tail of an older one behind it."""
        if self._file is None:
            return
        content = text.encode() + b"\n"
        os.pwrite(self._file, content, 0)
        os.ftruncate(self._file, len(content))

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._path.unlink(missing_ok=True)

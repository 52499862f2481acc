"""Failpoints: places where a test ends the process as a power cut would, chosen from outside.

An armed failpoint is a file `<slot>.<window>` in `HEADRACE_RUN_DIR/failpoints`. The process that passes that window
takes the file (so it fires once), writes a line to `kills.ndjson`, and kills itself. Without a run directory a
failpoint costs one attribute look-up.
"""

import json
import os
import signal
import time
from pathlib import Path
from typing import Literal

Window = Literal["handler", "sink", "commit", "committed", "decided", "released", "claimed", "sent", "settled"]


class Failpoints:
    """The failpoints of one process."""

    def __init__(self, slot: str, run_dir: Path | None) -> None:
        self._slot = slot
        self._folder = None if run_dir is None else run_dir / "failpoints"
        if self._folder is not None and not self._folder.is_dir():
            self._folder = None

    def reach(self, window: Window, at: str) -> None:
        """Die here if armed; `at` says which record was in flight, as `topic[partition]@offset`."""
        if self._folder is None:
            return
        armed = self._folder / f"{self._slot}.{window}"
        try:
            armed.unlink()
        except FileNotFoundError:
            return
        line = {"slot": self._slot, "window": window, "at": at, "time": time.time(), "pid": os.getpid()}
        with (self._folder.parent / "kills.ndjson").open("a") as log:
            log.write(json.dumps(line) + "\n")
            log.flush()
            os.fsync(log.fileno())
        os.kill(os.getpid(), signal.SIGKILL)

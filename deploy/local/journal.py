"""What happens to the children: a line a piece in a file, and what a person should know on the terminal."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from deploy.local.children import tail

Report = Callable[[str], None]


class Journal:
    """Appends to `path`; `report` shows a line (or several) to the person at the terminal."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path = path
        self.report = report

    def note(
        self,
        slot: str,
        event: Literal["start", "exit", "ready"],
        pid: int,
        *,
        code: int | None = None,
        at: float | None = None,
    ) -> None:
        """Write one line; `at` is in seconds since 1970, now by default."""
        line = {"at": time.time() if at is None else at, "slot": slot, "event": event, "pid": pid, "code": code}
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def ended(self, slot: str, pid: int, code: int, lived: float, delay: float, log: Path | None) -> None:
        """A child ended by itself; with `log`, show its last lines."""
        self.note(slot, "exit", pid, code=code)
        what = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        again = "restarting" if delay == 0 else f"restarting in {delay:.1f} s"
        last = f"; its log ({log}) ends:\n{tail(log)}" if log else ""
        self.report(f"{slot} (pid {pid}) {what} after {lived:.1f} s; {again}{last}")

"""Ends that a process makes of itself: with a reason in the log, an exit status of its own, and a count that stays."""

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from processors import telemetry

log = logging.getLogger(__name__)
Reason = Literal["engine_deadline", "loop_blocked", "no_progress", "unassigned", "drain_overdue"]
EXITS: dict[Reason, int] = {
    "engine_deadline": 80,
    "loop_blocked": 81,
    "no_progress": 82,
    "unassigned": 83,
    "drain_overdue": 84,
}
"""Exit status by reason; what was not finished is read again, as after every end."""


class Endings:
    """How the processes of one slot ended themselves, over all restarts that share a run directory."""

    def __init__(self, slot: str, run_dir: Path | None, *, leave: Callable[[int], object] = os._exit) -> None:
        self._path = None if run_dir is None else run_dir / f"{slot}.endings"
        self._leave = leave
        self._counts = self._read()
        for reason in EXITS:
            telemetry.WATCHDOG_ENDS.labels(reason).inc(self._counts.get(reason, 0))

    def end(self, reason: Reason, told: str) -> None:
        """End the process now; `told` says to a person what was seen."""
        log.critical("%s: %s; ending the process, its records are read again", reason, told)
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if self._path is not None:
            try:
                self._path.write_text(json.dumps(self._counts))
            except OSError as error:  # a full disk must not keep a sick process alive
                log.critical("the end is not counted: %s", error)
        sys.stderr.flush()
        self._leave(EXITS[reason])

    def _read(self) -> dict[str, int]:
        try:
            return dict(json.loads(self._path.read_text())) if self._path else {}
        except (OSError, ValueError):
            return {}

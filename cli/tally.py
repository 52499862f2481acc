"""What became of each submitted file, told one by one and in sum."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CliError, Exit
from cli.output import note, plain, show

if TYPE_CHECKING:
    from schemas.jobs import JobView


@dataclass
class Sent:
    """One file: what was accepted, or why not; `view` is what became of its job, where that was waited for."""

    path: Path
    job: str = ""
    document_id: str = ""
    error: CliError | None = None
    view: "JobView | None" = None


@dataclass
class Tally:
    """All files of one command. `skipped` counts by reason, `codes` are exit codes that no file alone gives.

    `timed`: the command waits for its jobs' ends, so a job without one took too long.
    """

    timed: bool
    begun: float = field(default_factory=time.monotonic)
    sent: list[Sent] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    codes: list[int] = field(default_factory=list)

    def summary(self, found: int) -> str:
        """One line about `found` documents and what was skipped."""
        accepted = sum(bool(item.job) for item in self.sent)
        parts = [f"{accepted} accepted"]
        if refused := len(self.sent) - accepted:
            parts.append(f"{refused} refused")
        if unsent := found - len(self.sent):
            parts.append(f"{unsent} not sent")
        if self.skipped:
            reasons = ", ".join(f"{number} {why}" for why, number in sorted(self.skipped.items()))
            parts.append(f"{self.skipped.total()} skipped ({reasons})")
        return f"{', '.join(parts)} in {time.monotonic() - self.begun:.1f} s"

    def code(self) -> int:
        """The exit code: the highest that anything has come to."""
        from schemas.jobs import TERMINAL, JobState

        codes = [*self.codes, *(item.error.code for item in self.sent if item.error is not None)]
        states = [item.view.state for item in self.sent if item.view is not None]
        if any(state in TERMINAL and state is not JobState.SUCCEEDED for state in states):
            codes.append(Exit.FAILED)
        if self.timed and not TERMINAL.issuperset(states) and not codes:
            codes.append(Exit.TIMEOUT)
        return max(codes, default=Exit.OK)


def tell(item: Sent, *, as_json: bool) -> None:
    """A person's line about one file, and what is wrong with it."""
    name = plain(item.path.name)
    if item.error is not None:
        note(f"error: {name}: {item.error}")
        if item.error.hint:
            note(f"hint: {item.error.hint}")
        return
    if as_json:
        return
    words = []
    if item.view is not None:
        words = [item.view.state.value, f"{item.view.pages_done}/{item.view.pages_total or '?'} pages"]
    if sys.stdout.isatty():
        show("  ".join((item.job, *(f"{word:10}" for word in words), name)))
    else:
        show("\t".join((item.job, name, *words)))
    for failure in item.view.errors if item.view is not None else ():
        note(f"error: page {failure.page}: {failure.step}: {failure.code}: {plain(failure.detail)}")


def as_object(item: Sent) -> dict[str, Any]:
    """One file for machines."""
    told = {"file": str(item.path), "id": item.job or None, "document_id": item.document_id or None}
    error = None if item.error is None else str(item.error)
    return {**told, "error": error, "job": item.view.model_dump(mode="json") if item.view else None}

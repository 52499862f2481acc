"""Lists of things: an aligned table for people, tab-separated lines for pipes, or one JSON object a line."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from cli.output import plain, show, show_line

if TYPE_CHECKING:
    from pydantic import BaseModel

_GAP = 2  # blanks between columns
_LEAST = 8  # of a wide column, on however narrow a terminal
T = TypeVar("T", bound="BaseModel")
_COLOURS = {
    "succeeded": "green", "running": "cyan", "queued": "cyan", "partial": "yellow", "cancelled": "yellow",
    "expired": "yellow", "failed": "red", "halted": "red", "open": "yellow", "redriven": "green",
    "active": "green", "revoked": "red", "pending": "yellow", "waiting": "cyan",
    "delivered": "green", "retried": "yellow", "skipped": "yellow", "disabled": "red",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """How things of one kind are listed.

    `columns` head the table, and `row` gives its cells; what does not fit is cut in the columns of `wide`. `fields`
    are what a pipe gets, whole.
    """

    columns: tuple[str, ...]
    row: Callable[[T], Sequence[str]]
    fields: Callable[[T], Sequence[object]]
    wide: frozenset[str] = frozenset()

    def print(self, things: Iterable[T], *, as_json: bool) -> None:
        """Print them: a table whole, lines as they come."""
        if as_json:
            for thing in things:
                show_line(thing.model_dump(mode="json"))
        elif sys.stdout.isatty():
            self._table(list(things))
        else:
            for thing in things:
                show("\t".join(plain(text(value)) for value in self.fields(thing)))

    def _table(self, things: Sequence[T]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        if not things:
            return
        rows = [[plain(cell) for cell in self.row(thing)] for thing in things]
        console = Console()
        widths = self._widths(rows, console.width)
        console.width = max(console.width, sum(widths) + _GAP * len(widths))  # an id is worth a line of its own
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
        for name, width in zip(self.columns, widths, strict=True):
            table.add_column(name, no_wrap=True, overflow="ellipsis", width=width)
        for row in rows:
            table.add_row(*(Text(cell, _COLOURS.get(cell, "")) for cell in row))
        console.print(table, soft_wrap=True)

    def _widths(self, rows: Sequence[Sequence[str]], whole: int) -> list[int]:
        """What each column gets: all that it needs, a wide one at most a fair share of what the others leave."""
        from rich.cells import cell_len

        columns = zip(self.columns, *rows, strict=True)
        widths = [max(map(cell_len, cells)) for cells in columns]
        wide = sorted((index for index, name in enumerate(self.columns) if name in self.wide), key=widths.__getitem__)
        left = whole - _GAP * len(widths) - sum(widths) + sum(widths[index] for index in wide)
        for number, index in enumerate(wide):
            widths[index] = max(_LEAST, min(widths[index], left // (len(wide) - number)))
            left -= widths[index]
        return widths


def ago(moment: datetime | None) -> str:
    """How long ago that was, in the largest unit that fits; `-` for never."""
    if moment is None:
        return "-"
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def text(value: object) -> str:
    """A value for a pipe: moments in ISO 8601 and UTC, nothing for what is not there."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return "" if value is None else str(value)

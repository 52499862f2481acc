"""Where the pieces of a part of a page stand in columns, and how far down those go."""

import itertools
import statistics
from collections.abc import Iterable, Sequence

from processors.steps.columns import COLUMN_LINES, PROSE, Gap, common, gaps
from processors.steps.pieces import Piece

_NARROW = 5.0  # width over height of the lines of a narrow column, where a layout model holds it together
_AHEAD = 2 * COLUMN_LINES  # strips that show whether columns begin: one may be short, or have its heading there

Strip = list[Piece]


def runs(
    strips: Sequence[Strip], within: Gap, least: float, shut: Sequence[Gap]
) -> list[tuple[list[Strip], list[Gap]]]:
    """Neighbouring strips together for as long as the gutter of one is not closed by the next; and what is open.

    With three columns it may close one of two: that ends the run as well, unless text stands on the other's far side.
    `within`: from where to where gaps are sought; `shut`: gaps that are known to part nothing.
    """
    found: list[tuple[list[Strip], list[Gap]]] = []
    above: list[Piece] = []
    parted = False
    for number, strip in enumerate(strips):
        run, free = found[-1] if found else ([], [])
        own = gaps((*(piece.span for piece in strip), *shut), within, least)
        both = common(free, own, least)
        together = bool(both) and _parts(both, [*above, *strip])
        if together:
            open_above = gutters(above, least)
            alone = not _parts(both, strip)
            together = not alone or _all_open(open_above, both, least)
            if together and not common(open_above, both, least):
                together = _all_open(_beginning(strips[number : number + _AHEAD], least), both, least)
        apart = _parts(own, strip)
        if together or (both and not parted and not apart):
            run.append(strip)
            above.extend(strip)
            found[-1] = (run, both)
            parted = together
        else:
            found.append(([strip], own))
            above = list(strip)
            parted = apart
    return found


def columns(pieces: Sequence[Piece], least: float) -> list[list[Piece]]:
    """The columns that pieces stand in, from left to right; nothing where they stand in none."""
    parts: list[list[Piece]] = []
    rest = sorted(pieces, key=lambda piece: piece.span)
    for gutter in gutters(rest, least):
        part = [piece for piece in rest if piece.span[0] < gutter[0]]
        if _is_column(part):
            parts.append(part)
            rest = rest[len(part) :]
    return [*parts, rest] if parts else []


def gutters(pieces: Sequence[Piece], least: float) -> list[Gap]:
    """The gaps through all pieces, from left to right, with what reads as a column on either side."""
    if not pieces:
        return []
    ranked = sorted(pieces, key=lambda piece: piece.span)
    found = []
    for gap in gaps((piece.span for piece in ranked), extent(ranked), least):
        place = sum(piece.span[0] < gap[0] for piece in ranked)
        if _is_column(ranked[:place]) and _is_column(ranked[place:]):
            found.append(gap)
    return found


def extent(pieces: Iterable[Piece]) -> Gap:
    """From where to where pieces stand across."""
    left, right = zip(*(piece.span for piece in pieces), strict=True)
    return (min(left), max(right))


def _beginning(strips: Sequence[Strip], least: float) -> list[Gap]:
    """The gutters of the columns that begin with the first strip."""
    if _typical(strips[0]) < _NARROW:
        return []
    single = itertools.takewhile(lambda strip: all(piece.count < COLUMN_LINES for piece in strip), strips[1:])
    return gutters([piece for strip in (strips[0], *single) for piece in strip], least)


def _all_open(closed: Iterable[Gap], free: Sequence[Gap], least: float) -> bool:
    return all(common([gutter], free, least) for gutter in closed)


def _parts(free: Sequence[Gap], pieces: Sequence[Piece]) -> bool:
    """Whether one of the gaps has pieces on both its sides: a margin has not."""
    first, last = min(piece.span[1] for piece in pieces), max(piece.span[0] for piece in pieces)
    return any(first <= gap[0] and last >= gap[1] for gap in free)


def _is_column(pieces: Sequence[Piece]) -> bool:
    """Whether pieces read as a column rather than as cells of rows: enough lines, and long enough."""
    if any(piece.large for piece in pieces):
        return True
    if any(piece.gathered and piece.count >= COLUMN_LINES for piece in pieces):
        return _typical(pieces) >= _NARROW
    return sum(piece.count for piece in pieces) >= COLUMN_LINES and _typical(pieces) >= PROSE


def _typical(pieces: Sequence[Piece]) -> float:
    return statistics.median([piece.typical for piece in pieces for _ in range(piece.count)] or [0.0])

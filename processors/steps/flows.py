"""Pieces of a page in reading order, by XY-cut: columns one after the other, what lies across them in between.

The page is cut into strips where no piece is cut by a level line. Neighbouring strips with a gutter in common are one
run; where what stands on both sides of it reads as columns, each column is ordered by itself, else row by row.
"""

from collections.abc import Iterable, Iterator, Sequence

from processors.steps.boxes import height
from processors.steps.columns import Gap, least_gutter
from processors.steps.gutters import Strip, columns, extent, runs
from processors.steps.pieces import Piece

_OVERLAP = 0.25  # of its first line's height that a piece may reach into the next: OCR draws boxes large
_MOST = 1200  # pieces: more are cells of a printed spreadsheet, and to look for columns among them takes seconds
_DEEPEST = 12  # cuts within cuts: no page needs half of them, and one made to need more must end as well


def flows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces in reading order, in flows: what follows within one stands below or right of what precedes it.

    Lines that run up or down the page come last, each by itself.
    """
    level = [piece for piece in pieces if not piece.upright]
    ordered = _flows(level, 0 if len(level) <= _MOST else _DEEPEST) if level else []
    margin = sorted((piece for piece in pieces if piece.upright), key=lambda piece: piece.box)
    return [*ordered, *([piece] for piece in margin)]


def _flows(pieces: Sequence[Piece], depth: int) -> list[list[Piece]]:
    if depth == _DEEPEST:
        return [_rows(pieces)]
    least = least_gutter(piece.first for piece in pieces)
    made: list[list[Piece]] = []
    in_rows = False
    for run, parts in _parted(_strips(pieces), extent(pieces), least, (), depth):
        if parts:
            made.extend(flow for part in parts for flow in _flows(part, depth + 1))
        elif in_rows:
            made[-1].extend(_rows(run))
        else:
            made.append(_rows(run))
        in_rows = not parts
    return made


def _parted(
    strips: Sequence[Strip], within: Gap, least: float, shut: Sequence[Gap], depth: int
) -> Iterator[tuple[list[Piece], list[list[Piece]]]]:
    """Runs from top to bottom, each with its columns, if it has any; gaps in `shut` were found to part none."""
    for run, free in runs(strips, within, least, shut):
        pieces = [piece for strip in run for piece in strip]
        parts = columns(pieces, least)
        if parts or len(run) == 1 or not free or depth == _DEEPEST:
            yield pieces, parts
        else:
            yield from _parted(run, within, least, [*shut, *free], depth + 1)


def _strips(pieces: Iterable[Piece]) -> list[Strip]:
    """Pieces whose heights on the page overlap, together; from top to bottom."""
    strips: list[Strip] = []
    end = float("-inf")
    for piece in sorted(pieces, key=lambda piece: piece.box[1] + _OVERLAP * piece.first):
        if strips and piece.box[1] + _OVERLAP * piece.first < end:
            strips[-1].append(piece)
        else:
            strips.append([piece])
        end = max(end, piece.box[3] - _OVERLAP * piece.first)
    return strips


def _rows(pieces: Iterable[Piece]) -> list[Piece]:
    """Row by row, each from left to right: a piece is of a row when its first line's middle lies in the row's first."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=_middle):
        if rows and _middle(piece) <= rows[-1][0].box[1] + rows[-1][0].first:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [piece for row in rows for piece in sorted(row, key=lambda item: item.box[0])]


def _middle(piece: Piece) -> float:
    return piece.box[1] + min(piece.first, height(piece.box)) / 2

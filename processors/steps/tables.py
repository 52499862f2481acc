"""Rows and cells of tables, from where their lines stand."""

import itertools
import statistics
from collections.abc import Iterator, Sequence

from processors.steps.boxes import height, shared_across, union
from schemas.documents import Box

_SAME_ROW = 0.7  # of a line's height between the middles of two lines of one row; lines below one another are 1 apart
_ROW_LINES = 300  # more lines than this in a row: nobody's table, and to look for cells among them takes too long
_CELL_LINES = 5  # more lines in a cell than this: not one row, but rows of columns that are out of step


def table_rows(places: Sequence[Box]) -> list[list[int]]:
    """The numbers of the lines row by row, each row's cells from left to right, each cell's lines from the top.

    Lines belong to one row when their middles are near, also by way of a third: so the lines of a cell that is two
    lines high join the row of the one-line cell that stands centred beside it.
    """
    rows: list[list[int]] = []
    for chain in _chained(places):
        found = cells([places[line] for line in chain])
        stepped = len(chain) > _ROW_LINES or max(map(len, found)) > _CELL_LINES
        rows.extend(_level(chain, places) if stepped else [chain])
    return [_by_cell(row, places) for row in _wrapped(rows, places)]


def _by_cell(row: Sequence[int], places: Sequence[Box]) -> list[int]:
    return [row[line] for cell in cells([places[line] for line in row]) for line in cell]


def _wrapped(rows: Sequence[list[int]], places: Sequence[Box]) -> list[list[int]]:
    """Rows joined to the one above that they go on: fewer lines, each below one of it, and closer than rows are."""
    boxes = [union(places[line] for line in row) for row in rows]
    spaces = [other[1] - one[3] for one, other in itertools.pairwise(boxes)]
    near = statistics.median(spaces) / 2 if spaces else 0.0
    joined = [list(row) for row in rows[:1]]
    for row, above, space in zip(rows[1:], rows[:-1], spaces, strict=True):
        under = all(any(shared_across(places[line], places[other]) > 0 for other in above) for line in row)
        if space < near and len(row) < len(above) and under:
            joined[-1].extend(row)
        else:
            joined.append(list(row))
    return joined


def cells(places: Sequence[Box]) -> list[list[int]]:
    """The lines of one row by cell: those that have some width in common, more than half of the narrower's."""
    found: list[list[int]] = []
    ranked = sorted(range(len(places)), key=lambda line: places[line][0])
    if len(ranked) > _ROW_LINES:
        return [[line] for line in ranked]
    for line in ranked:
        place = places[line]
        for cell in found:
            if any(_below(place, places[other]) for other in cell):
                cell.append(line)
                break
        else:
            found.append([line])
    return [sorted(cell, key=lambda line: places[line][1]) for cell in found]


def _below(one: Box, other: Box) -> bool:
    narrower = min(one[2] - one[0], other[2] - other[0])
    return shared_across(one, other) > narrower / 2 and abs(_middle(one) - _middle(other)) > min(
        height(one), height(other)
    ) * (1 - _SAME_ROW)


def _chained(places: Sequence[Box]) -> Iterator[list[int]]:
    chain: list[int] = []
    for line in sorted(range(len(places)), key=lambda line: _middle(places[line])):
        if chain and not _near(places[chain[-1]], places[line]):
            yield chain
            chain = []
        chain.append(line)
    if chain:
        yield chain


def _level(chain: Sequence[int], places: Sequence[Box]) -> Iterator[list[int]]:
    row: list[int] = []
    for line in chain:
        if row and not _near(places[row[0]], places[line]):
            yield sorted(row, key=lambda line: places[line][0])
            row = []
        row.append(line)
    yield sorted(row, key=lambda line: places[line][0])


def _near(one: Box, other: Box) -> bool:
    return abs(_middle(one) - _middle(other)) <= _SAME_ROW * min(height(one), height(other))


def _middle(box: Box) -> float:
    return (box[1] + box[3]) / 2

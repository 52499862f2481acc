"""A table's rows as columns: which lines stand below each other."""

from collections.abc import Sequence

from schemas.documents import Box, Line

Span = tuple[float, float]


def cells(rows: Sequence[Sequence[int]], lines: Sequence[Line]) -> list[list[list[int]]]:
    """Rows of cells, each the indices of its lines; all rows have as many.

    Lines of one row that stand below each other share a cell. The row with most cells tells the columns: every other
    line goes into the one that it overlaps most, or is nearest to. Where a line has no box, each is a cell.
    """
    rows = [row for row in rows if row]
    places = {index: box for row in rows for index in row if (box := lines[index].box) is not None}
    if any(index not in places for row in rows for index in row):
        most = max(map(len, rows))
        return [[[index] for index in row] + [[] for _ in range(most - len(row))] for row in rows]
    columns: list[Span] = max((_columns([places[index] for index in row]) for row in rows), key=len, default=[])
    table = []
    for row in rows:
        cut: list[list[int]] = [[] for _ in columns]
        for index in row:
            cut[_column(places[index], columns)].append(index)
        table.append(cut)
    return table


def _columns(boxes: Sequence[Box]) -> list[Span]:
    """What boxes cover from left to right, those that overlap as one."""
    spans: list[Span] = []
    for left, _, right, _ in sorted(boxes):
        if spans and left < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(right, spans[-1][1]))
        else:
            spans.append((left, right))
    return spans


def _column(box: Box, columns: Sequence[Span]) -> int:
    def fit(number: int) -> Span:
        left, right = columns[number]
        return min(box[2], right) - max(box[0], left), -abs(box[0] + box[2] - left - right)

    return max(range(len(columns)), key=fit)

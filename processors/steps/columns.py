"""Columns of text: where blank paper runs down between them, and when it is more than the gap of a table."""

import statistics
from collections.abc import Iterable, Sequence

from processors.steps.boxes import height, width
from schemas.documents import Box

Gap = tuple[float, float]

COLUMN_LINES = 3
"""Fewer lines than these are no column of their own."""
PROSE = 8.0
"""Width of a line over its height from which it is prose: about 16 letters, or 8 ideographs. Cells are shorter."""

_BORDER = 0.15  # of a line's height by which OCR draws its box too wide at either end
_GUTTER = 0.3  # of a line's height: the least gap between columns, of which some are printed as tightly as words
_FULL = 0.85  # share of the column that a line of a justified text fills
_FULL_LINES = 0.7  # share of a justified text's lines that do so: the last ones of its paragraphs do not


def least_gutter(heights: Iterable[float]) -> float:
    """Pixels of blank paper from which a gap can part columns of lines of these heights."""
    return max(1.0, _GUTTER * statistics.median(heights))


def span(box: Box, line: float) -> Gap:
    """Where the ink of a box stands across, for lines of text `line` pixels high."""
    border = min(_BORDER * line, width(box) / 2)
    return (box[0] + border, box[2] - border)


def gaps(spans: Iterable[Gap], within: Gap, least: float) -> list[Gap]:
    """Stretches of x inside `within`, at least `least` pixels wide, that none of the spans touches; left to right."""
    found, edge = [], within[0]
    for left, right in sorted(spans):
        if left - edge >= least:
            found.append((edge, left))
        edge = max(edge, right)
    if within[1] - edge >= least:
        found.append((edge, within[1]))
    return found


def common(one: Sequence[Gap], other: Sequence[Gap], least: float) -> list[Gap]:
    """The stretches that both have, as far as `least` pixels of them are left."""
    both = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
    return [(left, right) for left, right in both if right - left >= least]


def is_prose(boxes: Sequence[Box]) -> bool:
    """Whether lines are mostly as long as those of running text."""
    return statistics.median(width(box) / max(height(box), 1.0) for box in boxes) >= PROSE


def prose_columns(boxes: Sequence[Box]) -> bool:
    """Whether lines stand in columns of justified text, as no table's do: each as wide as its column."""
    if len(boxes) < 2 * (COLUMN_LINES + 1):
        return False
    least = least_gutter(map(height, boxes))
    spans = [span(box, height(box)) for box in boxes]
    gutters = gaps(spans, (min(left for left, _ in spans), max(right for _, right in spans)), least)
    if not gutters:
        return False
    columns: list[list[Box]] = [[] for _ in range(len(gutters) + 1)]
    for box in boxes:
        columns[sum(gutter[0] < (box[0] + box[2]) / 2 for gutter in gutters)].append(box)
    return all(len(column) > COLUMN_LINES and is_prose(column) and _justified(column) for column in columns)


def _justified(column: Sequence[Box]) -> bool:
    full = _FULL * (max(box[2] for box in column) - min(box[0] for box in column))
    return sum(width(box) >= full for box in column) >= _FULL_LINES * len(column)

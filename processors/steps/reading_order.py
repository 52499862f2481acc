"""Engine findings to checked lines in reading order."""

import math
from collections.abc import Sequence

from processors.engines.ports import Found
from schemas.documents import Box, Line
from schemas.errors import ModelOutputInvalid


def ordered_lines(found: Sequence[Found], width: int, height: int) -> tuple[Line, ...]:
    """Lines from top to bottom, those of one row from left to right, boxes upright and inside the page (pixels).

    A line belongs to a row when its middle lies within the height of the row's first line. Raises
    `ModelOutputInvalid` for numbers that are not finite, scores outside 0 to 1, or boxes wholly off the page.
    """
    lines = sorted((_line(item, width, height) for item in found if item.text.strip()), key=_middle)
    rows: list[list[Line]] = []
    for line in lines:
        if rows and _middle(line) <= rows[-1][0].box[3]:
            rows[-1].append(line)
        else:
            rows.append([line])
    return tuple(line for row in rows for line in sorted(row, key=lambda item: item.box[0]))


def _middle(line: Line) -> float:
    return (line.box[1] + line.box[3]) / 2


def _line(found: Found, width: int, height: int) -> Line:
    numbers = [found.score, *(value for point in found.points for value in point)]
    if not found.points or not all(map(math.isfinite, numbers)) or not 0 <= found.score <= 1:
        raise ModelOutputInvalid("the reader answered with a score or a place that cannot be")
    return Line(text=found.text, box=_box(found.points, width, height), score=found.score)


def _box(points: Sequence[tuple[float, float]], width: int, height: int) -> Box:
    across, down = [x for x, _ in points], [y for _, y in points]
    if max(across) < 0 or max(down) < 0 or min(across) > width or min(down) > height:
        raise ModelOutputInvalid("the reader found a line outside its page")
    left, right = (min(max(x, 0.0), float(width)) for x in (min(across), max(across)))
    top, bottom = (min(max(y, 0.0), float(height)) for y in (min(down), max(down)))
    return (left, top, right, bottom)

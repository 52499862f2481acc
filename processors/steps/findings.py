"""What models answered, checked: nothing that cannot be goes further."""

import math
from collections.abc import Iterable, Sequence

from processors.engines.ports import Found, Region
from processors.steps.boxes import clipped
from schemas.documents import Box, Line
from schemas.errors import ModelOutputInvalid


def found_lines(found: Sequence[Found], width: int, height: int) -> tuple[Line, ...]:
    """The lines that hold text, boxes upright and inside the page (pixels), in the order given.

    Raises `ModelOutputInvalid` for numbers that are not finite, scores outside 0 to 1, or boxes wholly off the page.
    """
    return tuple(
        Line(text=item.text, box=_inside(item.points, item.score, width, height), score=item.score)
        for item in found
        if item.text.strip()
    )


def found_regions(regions: Sequence[Region], width: int, height: int) -> tuple[Region, ...]:
    """The regions, boxes inside the page (pixels); raises `ModelOutputInvalid` as `found_lines` does."""
    return tuple(_region(region, width, height) for region in regions)


def _region(region: Region, width: int, height: int) -> Region:
    x0, y0, x1, y1 = region.box
    if x0 > x1 or y0 > y1:
        raise ModelOutputInvalid("the layout model answered with a region of negative size")
    return region._replace(box=_inside(((x0, y0), (x1, y1)), region.score, width, height))


def _inside(points: Iterable[tuple[float, float]], score: float, width: int, height: int) -> Box:
    across, down = [x for x, _ in points], [y for _, y in points]
    if not across or not all(map(math.isfinite, (score, *across, *down))) or not 0 <= score <= 1:
        raise ModelOutputInvalid("a model answered with a score or a place that cannot be")
    if max(across) < 0 or max(down) < 0 or min(across) > width or min(down) > height:
        raise ModelOutputInvalid("a model found something outside its page")
    return clipped((min(across), min(down), max(across), max(down)), width, height)

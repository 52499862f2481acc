"""Boxes `[x0, y0, x1, y1]` in pixels, origin top left: what reading order asks of them."""

from collections.abc import Iterable

from schemas.documents import Box

_UPRIGHT, _SHORT = 2.5, 3  # height over width from which a line runs up or down; one or two letters say nothing


def union(boxes: Iterable[Box]) -> Box:
    """The least box around all of them, of which there must be one."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return (min(left), min(top), max(right), max(bottom))


def width(box: Box) -> float:
    """Pixels across."""
    return box[2] - box[0]


def height(box: Box) -> float:
    """Pixels down."""
    return box[3] - box[1]


def shared_across(one: Box, other: Box) -> float:
    """Pixels across that both have; negative: the gap between them."""
    return min(one[2], other[2]) - max(one[0], other[0])


def shared_down(one: Box, other: Box) -> float:
    """Pixels down that both have; negative: the gap between them."""
    return min(one[3], other[3]) - max(one[1], other[1])


def share_inside(box: Box, outer: Box) -> float:
    """How much of `box`, from 0 to 1, lies in `outer`; a box without area counts as a point."""
    across = max(shared_across(box, outer), 0.0) / width(box) if width(box) else outer[0] <= box[0] <= outer[2]
    down = max(shared_down(box, outer), 0.0) / height(box) if height(box) else outer[1] <= box[1] <= outer[3]
    return across * down


def clipped(box: Box, page_width: int, page_height: int) -> Box:
    """What of the box lies on a page of that size."""
    left, right = (min(max(x, 0.0), float(page_width)) for x in (box[0], box[2]))
    top, bottom = (min(max(y, 0.0), float(page_height)) for y in (box[1], box[3]))
    return (left, top, right, bottom)


def mirrored(box: Box, page: float) -> Box:
    """The box as a page of `page` pixels across shows it in a mirror: right to left becomes left to right."""
    return (page - box[2], box[1], page - box[0], box[3])


def is_level(text: str, box: Box) -> bool:
    """Whether a line of text runs across its page rather than up or down."""
    return len(text) < _SHORT or height(box) <= _UPRIGHT * width(box)

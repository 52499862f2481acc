"""What of a layout model's findings is believed: as much as the lines themselves bear out.

A region's kind is believed more easily than its box. What is gathered wrongly is read in the wrong order, so a region
whose lines cannot stand below one another in one column is taken apart again.
"""

from collections.abc import Iterator, Sequence

from processors.engines.ports import Region
from processors.steps.boxes import height, shared_across, shared_down, width
from processors.steps.columns import is_prose, prose_columns
from schemas.documents import Box

_PROSE_LINES, _LABELS = 4, 30  # fewer lines of prose, or lines of any kind, can be what a figure says
_MARKER = 3  # widths of a line over its height: a bullet, or the number of a heading, and no column
_MARGIN = 0.2  # share of the page's height, at its top or foot, where a header or footer can stand


def believed(region: Region, page: int) -> Region:
    """The region of a page `page` pixels high; a header or footer in the middle of it is a text."""
    middle = (region.box[1] + region.box[3]) / 2 / page
    if (region.kind == "header" and middle > _MARGIN) or (region.kind == "footer" and middle < 1 - _MARGIN):
        return region._replace(kind="text")
    return region


def holds(region: Region, places: Sequence[Box]) -> bool:
    """Whether the lines found in a region can be what the model says that it is."""
    if not places:
        return region.kind == "figure"
    if region.kind == "table":
        return not prose_columns(places)
    if region.kind == "figure":
        return len(places) < (_PROSE_LINES if is_prose(places) else _LABELS)
    beside = list(_side_by_side(places))
    markers = {left for left, _ in beside if width(left) <= _MARKER * height(left)} - {right for _, right in beside}
    text = [place for place in places if place not in markers]
    widest = max(text or places, key=width)
    return all(left in markers for left, _ in beside) and all(shared_across(place, widest) > 0 for place in text)


def _side_by_side(places: Sequence[Box]) -> Iterator[tuple[Box, Box]]:
    """Each two lines, left and right, of one height on the page, with a gap between them as wide as they are high."""
    ranked = sorted(places, key=lambda place: place[1])
    for number, one in enumerate(ranked):
        for other in ranked[number + 1 :]:
            if other[1] > one[3]:
                break
            least = min(height(one), height(other))
            if shared_down(one, other) > least / 2 and -shared_across(one, other) > least:
                yield (one, other) if one[0] < other[0] else (other, one)

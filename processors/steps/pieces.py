"""Lines gathered by the regions that a layout model found, into pieces that are read in one go."""

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from processors.engines.ports import Region
from processors.steps.belief import holds
from processors.steps.boxes import height, share_inside, shared_across, shared_down, union, width
from processors.steps.columns import span
from schemas.documents import Box

_MOST_OF = 0.5  # a line belongs to a region that holds more of it than lies outside
_LARGE = ("table", "figure")
_CAPTION_LINES = 3  # heights of a line that a caption may stand from its figure or table


@dataclass(frozen=True, slots=True)
class Part:
    """Lines (their numbers) that make one block; `region` None for a line that lies in none."""

    lines: tuple[int, ...]
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What is read in one go: its parts one after the other.

    `box` is in pixels, `span` where its ink stands across; `first`, the height of its first line; `typical`, the width
    of its lines over their height, 0 without lines. `upright`: a line that runs up or down the page.
    """

    parts: tuple[Part, ...]
    box: Box
    span: tuple[float, float]
    first: float
    typical: float
    upright: bool

    @property
    def count(self) -> int:
        """Lines in it."""
        return sum(len(part.lines) for part in self.parts)

    @property
    def large(self) -> bool:
        """Whether it is, or holds, a table or a figure."""
        return any(part.region is not None and part.region.kind in _LARGE for part in self.parts)

    @property
    def gathered(self) -> bool:
        """Whether a region holds its lines together."""
        return self.parts[0].region is not None


def gather(places: Sequence[Box], regions: Sequence[Region], upright: Collection[int] = ()) -> list[Piece]:
    """Every line, given by its box, in exactly one piece; regions without lines are dropped unless they are figures.

    Lines whose numbers are in `upright` belong to no region but tables and figures.
    """
    regions = [region for region in regions if min(width(region.box), height(region.box)) > 0]
    members: dict[int, list[int]] = {index: [] for index in range(len(regions))}
    loose: list[int] = []
    for line, place in enumerate(places):
        index = _region_of(place, regions)
        if index is not None and line in upright and regions[index].kind not in _LARGE:
            index = None
        (loose if index is None else members[index]).append(line)
    parts = []
    for index, lines in members.items():
        if holds(regions[index], [places[line] for line in lines]):
            parts.append(Part(tuple(lines), regions[index]))
        else:
            loose.extend(lines)
    parts = [half for part in parts for half in _around(part, places, [other for other in parts if other is not part])]
    parts.extend(Part((line,)) for line in loose)
    return [_piece(group, places, upright) for group in _with_captions(parts, places)]


def _region_of(place: Box, regions: Sequence[Region]) -> int | None:
    """Of the regions that hold most of a line, a table before all others, then the smallest."""
    holding = [index for index, region in enumerate(regions) if share_inside(place, region.box) > _MOST_OF]
    return min(holding, default=None, key=lambda index: (regions[index].kind != "table", _area(regions[index].box)))


def _around(part: Part, places: Sequence[Box], others: Sequence[Part]) -> list[Part]:
    """A text in two parts where another block (a formula, a heading) stands among its lines."""
    if not part.lines or part.region is None or part.region.kind in _LARGE:
        return [part]
    whole = union(places[line] for line in part.lines)
    cuts = []
    for other in others:
        if other.lines and len(other.lines) < len(part.lines):
            box = union(places[line] for line in other.lines)
            if share_inside(box, whole) > _MOST_OF:
                cuts.append((box[1] + box[3]) / 2)
    groups: dict[int, list[int]] = {}
    for line in part.lines:
        middle = (places[line][1] + places[line][3]) / 2
        groups.setdefault(sum(cut < middle for cut in cuts), []).append(line)
    return [Part(tuple(groups[number]), part.region) for number in sorted(groups)]


def _with_captions(parts: Sequence[Part], places: Sequence[Box]) -> list[list[Part]]:
    """Captions beside what they belong to: each group holds its parts from top to bottom."""
    groups = {index: [part] for index, part in enumerate(parts)}
    for index, part in enumerate(parts):
        if part.region is None or part.region.kind != "caption":
            continue
        box = _extent(part, places)
        reach = _CAPTION_LINES * statistics.median(height(places[line]) for line in part.lines)
        near = [
            (-shared_down(box, extent), other)
            for other, candidate in enumerate(parts)
            if candidate.region is not None and candidate.region.kind in _LARGE
            for extent in [_extent(candidate, places)]
            if -shared_down(box, extent) <= reach and shared_across(box, extent) > 0
        ]
        if near:
            groups[min(near)[1]].extend(groups.pop(index))
        else:
            groups[index] = [Part(part.lines, part.region._replace(kind="text"))]
    return [sorted(group, key=lambda part: _extent(part, places)[1]) for group in groups.values()]


def _extent(part: Part, places: Sequence[Box]) -> Box:
    boxes = [places[line] for line in part.lines]
    if part.region is not None and (part.region.kind in _LARGE or not boxes):
        boxes.append(part.region.box)
    return union(boxes)


def _piece(parts: Sequence[Part], places: Sequence[Box], upright: Collection[int]) -> Piece:
    box = union(_extent(part, places) for part in parts)
    boxes = [places[line] for part in parts for line in part.lines]
    heights = [max(height(place), 1.0) for place in boxes]
    first = heights[boxes.index(min(boxes, key=lambda place: place[1]))] if boxes else height(box)
    typical = statistics.median(map(width, boxes)) / statistics.median(heights) if boxes else 0.0
    stands = parts[0].region is None and parts[0].lines[0] in upright
    return Piece(tuple(parts), box, span(box, first), first, typical, stands)


def _area(box: Box) -> float:
    return width(box) * height(box)

"""A page's lines and regions to lines in reading order and the blocks that they form."""

import itertools
import statistics
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from processors.engines.ports import Region
from processors.steps.belief import believed
from processors.steps.boxes import height, is_level, mirrored, union
from processors.steps.columns import PROSE
from processors.steps.flows import flows
from processors.steps.pieces import Part, Piece, gather
from processors.steps.tables import table_rows
from schemas.documents import Block, Box, Line

_FOLIO = 12  # letters of "Page 1 of 12"
_APART = 0.8  # of a line's height: loose lines farther apart are two blocks, unless all are
_APART_MORE = 1.5  # times the gap that is usual in their flow
_OTHER_SIZE = 1.4  # times higher: a headline over its text


def ordered_page(
    lines: Sequence[Line], regions: Sequence[Region], width: int, height: int
) -> tuple[tuple[Line, ...], tuple[Block, ...]]:
    """Every line once, in reading order, and every line in exactly one block; boxes in pixels of the page.

    Running heads come first and feet last; lines that run up or down the margin, after the columns. Without regions
    the lines alone tell the columns, and every block is a text.
    """
    places = [_box(line) for line in lines]
    regions = [believed(region, height) for region in regions]
    leftwards = _runs_leftwards(lines)
    if leftwards:
        places = [mirrored(place, width) for place in places]
        regions = [region._replace(box=mirrored(region.box, width)) for region in regions]
    upright = {number for number, line in enumerate(lines) if not is_level(line.text, places[number])}
    order: list[int] = []
    blocks = []
    for part in _parts(gather(places, regions, upright), lines, places):
        rows = _rows(part, places)
        block = _block(part, rows, places, len(order))
        order.extend(line for row in rows for line in row)
        if leftwards and block.box:
            block = block.model_copy(update={"box": mirrored(block.box, width)})
        blocks.append(block)
    return tuple(lines[line] for line in order), tuple(blocks)


def _box(line: Line) -> Box:
    assert line.box is not None, "lines of a picture have boxes"
    return line.box


def _runs_leftwards(lines: Iterable[Line]) -> bool:
    """Whether most letters are Arabic, Hebrew or of another script that is written from right to left."""
    directions = [unicodedata.bidirectional(letter) for line in lines for letter in line.text]
    return sum(way in ("R", "AL") for way in directions) > directions.count("L")


def _parts(pieces: Sequence[Piece], lines: Sequence[Line], places: Sequence[Box]) -> Iterator[Part]:
    zones: dict[str, list[Piece]] = {"header": [], "body": [], "footer": []}
    for piece in pieces:
        zones[_zone(piece, pieces, lines)].append(piece)
    for flow in (flow for zone in zones.values() for flow in flows(zone)):
        loose: list[int] = []
        usual = _usual_gap(flow)
        for piece in flow:
            if not piece.gathered and (not loose or not _apart(places[loose[-1]], piece.box, usual)):
                loose.extend(piece.parts[0].lines)
                continue
            if loose:
                yield Part(tuple(loose))
                loose = []
            if piece.gathered:
                yield from piece.parts
            else:
                loose.extend(piece.parts[0].lines)
        if loose:
            yield Part(tuple(loose))


def _zone(piece: Piece, pieces: Sequence[Piece], lines: Sequence[Line]) -> str:
    """Whether a piece stands above or below the columns: a running head or foot, or a page number by itself."""
    region = piece.parts[0].region
    if region is not None:
        return region.kind if region.kind in ("header", "footer") else "body"
    text = lines[piece.parts[0].lines[0]].text
    if len(text) <= _FOLIO and piece.typical < PROSE and any(map(str.isdigit, text)):
        others = [other.box for other in pieces if other is not piece]
        if all(piece.box[1] - other[3] >= piece.first / 2 for other in others):
            return "footer"
        if all(other[1] - piece.box[3] >= piece.first / 2 for other in others):
            return "header"
    return "body"


def _usual_gap(flow: Sequence[Piece]) -> float:
    gaps = [other.box[1] - one.box[3] for one, other in itertools.pairwise(flow)]
    return statistics.median([gap for gap in gaps if gap > 0] or [0.0])


def _apart(one: Box, other: Box, usual: float) -> bool:
    gap, least, most = other[1] - one[3], *sorted((height(one), height(other)))
    return gap > max(_APART * least, _APART_MORE * usual) or (gap > 0 and most > _OTHER_SIZE * least)


def _rows(part: Part, places: Sequence[Box]) -> list[list[int]]:
    """A table's lines by row; the lines of all else as one row, in the order in which they are read."""
    if part.region is None or not part.lines:
        return [list(part.lines)]
    boxes = [places[line] for line in part.lines]
    if part.region.kind == "table":
        return [[part.lines[line] for line in row] for row in table_rows(boxes)]
    inner = flows(gather(boxes, []))
    return [[part.lines[line] for flow in inner for piece in flow for line in piece.parts[0].lines]]


def _block(part: Part, rows: Sequence[Sequence[int]], places: Sequence[Box], first: int) -> Block:
    boxes = [places[line] for line in part.lines]
    lines = tuple(range(first, first + len(boxes)))
    region = part.region
    if region is None:
        return Block(kind="text", box=union(boxes), lines=lines)
    if region.kind not in ("table", "figure"):
        return Block(kind=region.kind, box=union(boxes), score=region.score, lines=lines)
    numbers = iter(lines)
    counted = tuple(tuple(next(numbers) for _ in row) for row in rows) if region.kind == "table" else ()
    return Block(kind=region.kind, box=union([*boxes, region.box]), score=region.score, lines=lines, rows=counted)

"""Pages as places of lines: written in the order in which they are to be read."""

import random
from collections.abc import Iterable, Sequence

from processors.engines.ports import Region
from processors.steps.boxes import union
from processors.steps.reading_order import ordered_page
from schemas.documents import Block, BlockKind, Box, Line

WIDTH, HEIGHT = 1240, 1754
SIZE, PITCH = 26, 32  # pixels: a line's box, and from one to the next


def line(text: str, x: float, y: float, width: float, size: float = SIZE) -> Line:
    return Line(text=text, box=(x, y, x + width, y + size), score=0.9)


def column(name: str, x: float, y: float, count: int, width: float, pitch: float = PITCH) -> list[Line]:
    """Justified text whose last line is half as wide."""
    return [line(f"{name} {n}", x, y + n * pitch, width if n < count - 1 else width / 2) for n in range(count)]


def row(y: float, cells: Sequence[tuple[float, str]]) -> list[Line]:
    return [line(text, x, y, 12 * len(text)) for x, text in cells]


def region(kind: BlockKind, lines: Iterable[Line], score: float = 0.9, by: float = 4) -> Region:
    """A region around lines, `by` pixels larger than they are."""
    x0, y0, x1, y1 = around(lines)
    return Region(kind, (x0 - by, y0 - by, x1 + by, y1 + by), score)


def around(lines: Iterable[Line]) -> Box:
    return union(found.box for found in lines if found.box is not None)


def read(lines: Sequence[Line], *regions: Region) -> tuple[list[str], tuple[Block, ...]]:
    """The texts in the order in which they were read, from lines in no order, and the blocks."""
    shuffled = list(lines)
    random.Random(len(lines)).shuffle(shuffled)
    ordered, blocks = ordered_page(shuffled, regions, WIDTH, HEIGHT)
    assert [number for block in blocks for number in block.lines] == list(range(len(lines)))
    return [found.text for found in ordered], blocks


def texts(*groups: Iterable[Line]) -> list[str]:
    return [found.text for group in groups for found in group]

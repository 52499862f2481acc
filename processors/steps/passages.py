"""Passages of a page: pieces of text to embed and to find, cut where the page itself is cut."""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from processors.steps.boxes import height, shared_across, shared_down, union
from processors.steps.tables import cells
from schemas.documents import Block, Box, Line, PageRead

_ENDS = re.compile(r"[.!?…]['\")\]»”]*\s+|[\u3002\uff01\uff1f]|\s+\|\s+")  # of sentences, and of cells
_APART = ("header", "footer")
_LARGE = ("table", "figure")


class Piece(NamedTuple):
    """Text that is not cut unless it must be: a line, or a table's row. `block`: the number of its block."""

    text: str
    box: Box | None
    block: int


class Passage(NamedTuple):
    """A text, and one box for each block (or part of it) that it was taken from; none without boxes."""

    text: str
    boxes: tuple[Box, ...]


def passages(page: PageRead, most: int) -> Iterator[Passage]:
    """The page's text, in order, in passages of at most `most` characters; nothing of it is in two, or in none.

    A passage begins with a heading, ends with its column, and holds neither a head or foot of the page nor a table or
    figure beside other text, unless it is their heading or caption. A block that fits is not cut. A line or row is cut
    only where it is longer than `most`: at the end of a sentence, cell or word, of which the blank is left out.
    """
    blocks = page.blocks or (Block(kind="text", lines=tuple(range(len(page.lines)))),)
    group: list[Piece] = []
    for number, block in enumerate(blocks):
        pieces = deque(_pieces(number, block, page.lines))
        if group and pieces:
            before = blocks[group[-1].block]
            whole = _length(pieces)
            late = whole <= most < _length(group) + 1 + whole and not _only_headings(group, blocks)
            if late or _begins(block, before):
                yield _passage(group)
                group = []
        while pieces:
            piece = pieces.popleft()
            room = most - _length(group) - 1 if group else most
            if len(piece.text) <= room:
                group.append(piece)
                continue
            if not group or (_only_headings(group, blocks) and 2 * room >= most and block.kind != "table"):
                head, tail = _cut(piece.text, room)
                group.append(piece._replace(text=head))
                piece = piece._replace(text=tail)
            yield _passage(group)
            group = []
            if piece.text:
                pieces.appendleft(piece)
    if group:
        yield _passage(group)


def _pieces(number: int, block: Block, lines: Sequence[Line]) -> Iterator[Piece]:
    for row in block.rows or ((line,) for line in block.lines):
        boxes = [box for line in row if (box := lines[line].box) is not None]
        # By where they stand in the row, not on the page: that may be from right to left.
        grouped = sorted(cells(boxes), key=min) if len(boxes) == len(row) else [[cell] for cell in range(len(row))]
        texts = (" ".join(lines[row[cell]].text.strip() for cell in cell_lines) for cell_lines in grouped)
        text = " | ".join(filter(None, texts)) if block.rows else lines[row[0]].text
        if text.strip():
            yield Piece(text, union(boxes) if boxes else None, number)


def _begins(block: Block, before: Block) -> bool:
    """Whether a block begins a passage, after that one."""
    if block.kind in _APART or before.kind in _APART:
        return block.kind != before.kind
    if block.kind == "heading" and before.kind != "heading":
        return True
    if block.box and before.box and _in_other_column(block.box, before.box):
        return before.kind != "heading" or not _in_its_row(block.box, before.box)
    if before.kind == "heading" or "caption" in (block.kind, before.kind):
        return not {block.kind, before.kind} & {*_LARGE, "heading"}
    return block.kind in _LARGE or before.kind in _LARGE


def _in_other_column(box: Box, before: Box) -> bool:
    return shared_across(box, before) <= 0 and box[1] < before[3]


def _in_its_row(box: Box, heading: Box) -> bool:
    """Whether a box is what stands beside a heading, as an amount beside `Total`: about as high, at the same height."""
    return height(box) <= 2 * height(heading) and shared_down(box, heading) >= height(heading) / 2


def _only_headings(group: Iterable[Piece], blocks: Sequence[Block]) -> bool:
    return all(blocks[piece.block].kind == "heading" for piece in group)


def _length(pieces: Iterable[Piece]) -> int:
    return sum(len(piece.text) + 1 for piece in pieces) - 1


def _cut(text: str, room: int) -> tuple[str, str]:
    """The text in two, the first of at most `room` characters and not empty; both without blanks where they part."""
    ends = [found.end() for found in _ENDS.finditer(text, 0, room)]
    if not ends or ends[-1] < room / 2:
        ends = [found.start() for found in re.finditer(r"\s+", text[: room + 1]) if found.start()]
    place = ends[-1] if ends else room
    return text[:place].rstrip() or text[:place], text[place:].lstrip()


def _passage(group: Sequence[Piece]) -> Passage:
    boxes: dict[int, list[Box]] = {}
    for piece in group:
        if piece.box is not None:
            boxes.setdefault(piece.block, []).append(piece.box)
    return Passage("\n".join(piece.text for piece in group), tuple(union(found) for found in boxes.values()))

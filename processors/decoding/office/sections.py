"""Blocks to sections: the pages of a document that has none."""

from collections.abc import Iterable, Iterator

from processors.decoding.limits import Limits
from processors.decoding.pages import TextBlock, TextPage
from schemas.errors import TooManyPages

SECTION_CHARACTERS = 4000
"""Most characters of a section, about a dense A4 page: the later steps work, fail and are retried page by page."""


def sections(groups: Iterable[Iterable[TextBlock]], limits: Limits) -> list[TextPage]:
    """Sections of whole blocks, at least one. Each group of blocks (a slide, a sheet) begins a section of its own.

    A block that is too long is cut between its lines or rows, a line that is too long between its words. Nothing is
    repeated in the next section. Raises `TooManyPages`.
    """
    pages: list[TextPage] = []
    left = limits.characters
    for group in groups:
        for blocks in _filled(group):
            left -= sum(map(_size, blocks))
            if left < 0:
                raise TooManyPages(f"the text is longer than the {limits.characters} characters that this server reads")
            if len(pages) == limits.pages:
                raise TooManyPages(f"the text fills more than the {limits.pages} sections that this server accepts")
            pages.append(TextPage(len(pages) + 1, tuple(blocks)))
    return pages or [TextPage(1, ())]


def _filled(blocks: Iterable[TextBlock]) -> Iterator[list[TextBlock]]:
    """Blocks by section; a heading stays with what follows it. One empty section where there are no blocks."""
    section: list[TextBlock] = []
    size, begun = 0, False
    for block in blocks:
        for piece in _pieces(block):
            if section and size + _size(piece) > SECTION_CHARACTERS:
                body = len(section)
                while body and section[body - 1].kind == "heading":
                    body -= 1
                body = body or len(section)
                yield section[:body]
                begun, section = True, section[body:]
                size = sum(map(_size, section))
            section.append(piece)
            size += _size(piece)
    if section or not begun:
        yield section


def _size(block: TextBlock) -> int:
    return sum(len(line) + 1 for line in block.lines) + sum(len(cell) + 1 for row in block.rows for cell in row)


def _pieces(block: TextBlock) -> Iterator[TextBlock]:
    """`block` in pieces of at most a section each."""
    if _size(block) <= SECTION_CHARACTERS:
        yield block
        return
    lines: list[str] = []
    rows: list[tuple[str, ...]] = []
    size = 0
    for line, row in [*((line, ()) for line in block.lines), *(("", row) for row in block.rows)]:
        long = len(line) + sum(len(cell) + 1 for cell in row)
        if size + long >= SECTION_CHARACTERS and (lines or rows):
            yield TextBlock(block.kind, tuple(lines), tuple(rows))
            lines, rows, size = [], [], 0
        if long >= SECTION_CHARACTERS:
            kind = "text" if row else block.kind  # a row that fills a section is prose in a grid
            for piece in _cut(" ".join((line, *row)).strip()):
                yield TextBlock(kind, (piece,))
            continue
        if row:
            rows.append(row)
        else:
            lines.append(line)
        size += long + 1
    if lines or rows:
        yield TextBlock(block.kind, tuple(lines), tuple(rows))


def _cut(line: str) -> Iterator[str]:
    """`line` in parts of less than a section, between words where there are any."""
    begin, most = 0, SECTION_CHARACTERS - 1
    while len(line) - begin > most:
        end = line.rfind(" ", begin + 1, begin + most + 1)
        end = end if end > begin else begin + most
        yield line[begin:end].strip()
        begin = end
    if rest := line[begin:].strip():
        yield rest

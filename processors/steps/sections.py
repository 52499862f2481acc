"""A section of a document that is text to begin with, as a page that has been read."""

import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

from processors.decoding.pages import TextPage
from schemas.documents import Block, BlockKind, EngineStamp, Line, PageRead, Times
from schemas.media import DOCX, HTML, PPTX, XLSX

_PARSERS = {DOCX: "python-docx", PPTX: "python-pptx", XLSX: "python-calamine", HTML: "lxml"}
_KINDS: dict[str, BlockKind] = {"heading": "heading", "table": "table"}


def section_read(section: TextPage, media: str, times: Times) -> PageRead:
    """The section's lines and blocks, without boxes: nothing was drawn, so there is no place to point at."""
    lines: list[Line] = []
    blocks = []
    for block in section.blocks:
        rows = [_places(lines, row) for row in block.rows or (block.lines,)]
        places = tuple(place for row in rows for place in row)
        kind = _KINDS.get(block.kind, "text")
        blocks.append(Block(kind=kind, lines=places, rows=tuple(rows) if block.rows else ()))
    return PageRead(origin="document", lines=tuple(lines), blocks=tuple(blocks), engine=parser(media), times=times)


@cache
def parser(media: str) -> EngineStamp:
    """Whose reading of a file of this type it is; no weights, so the release stands for a digest."""
    name = _PARSERS.get(media, "python")
    release = platform.python_version() if name == "python" else version(name)
    return EngineStamp(name=name, model=media, version=release, digest=f"{name} {release}")


def _places(lines: list[Line], texts: Sequence[str]) -> tuple[int, ...]:
    """Add the texts that say anything to the lines; their indices."""
    first = len(lines)
    lines += [Line(text=text, score=1) for text in texts if text.strip()]
    return tuple(range(first, len(lines)))

"""What decoding makes of a document: pages of pixels, or sections of text."""

from dataclasses import dataclass

Box = tuple[float, float, float, float]
EVERY = slice(None)
"""All pages of a document."""


@dataclass(frozen=True, slots=True)
class LayerLine:
    """One line that a PDF itself holds: `box` in pixels of the rendered page, origin top left.

    `drawn` is False where the PDF asks that nothing of it be drawn (text render mode 3, as scanners leave it).
    """

    text: str
    box: Box
    drawn: bool


@dataclass(frozen=True, slots=True)
class PicturePage:
    """One page, upright as far as the file itself says: raw pixels, row by row, in mode L or RGB.

    `number` counts from 1. `layer` is a PDF page's own text, top to bottom.
    """

    number: int
    width: int
    height: int
    mode: str
    pixels: bytes
    layer: tuple[LayerLine, ...] = ()


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A heading, a text or a table of a document without pictures. A table has cells by row; the others, lines."""

    kind: str
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class TextPage:
    """One section of a document that is text to begin with; `number` counts from 1."""

    number: int
    blocks: tuple[TextBlock, ...]


Page = PicturePage | TextPage

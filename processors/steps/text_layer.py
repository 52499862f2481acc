"""Whether a PDF's own text can stand for what its page shows."""

import unicodedata
from collections.abc import Sequence
from typing import Literal

from PIL.Image import Image

from processors.decoding.pages import LayerLine
from processors.engines.ports import Degrees
from processors.steps.boxes import clipped, is_level
from processors.steps.glyphs import garbage
from processors.steps.ink import Ink
from schemas.documents import Box, Line, TextLayer

_BEYOND = 1 / 3
"""Share of what looks like text that a page may show beyond its text layer: labels of charts and logos.

More is a scan with a stamp or a picture of text, and is read by OCR: reading a page for nothing costs seconds, text
that is left out is never found.
"""


def judge(lines: Sequence[LayerLine], picture: Image) -> tuple[TextLayer, ...]:
    """The text layers of a page by verdict, what is drawn before what is not; `picture` is the page as rendered.

    Lines that are not drawn, or leave no contrast inside their box, are `invisible`, each by itself. The others are
    judged together: `garbage` when their characters cannot be what the eye sees, `partial` when the page shows much
    else that looks like text, `good` otherwise. A line that an opaque picture covers counts as drawn where that
    picture shows anything: pixels do not tell whose ink they are.
    """
    if not lines:
        return ()
    ink = Ink(picture)
    drawn, hidden = list[LayerLine](), list[LayerLine]()
    for line in lines:
        if line.text.strip():
            (drawn if line.drawn and ink.shows(line.box) else hidden).append(line)
    layers = []
    if drawn:
        verdict: Literal["good", "partial", "garbage"] = "good"
        if garbage([line.text for line in drawn]):
            verdict = "garbage"
        elif ink.beyond(line.box for line in drawn) > _BEYOND:
            verdict = "partial"
        layers.append(TextLayer(verdict=verdict, lines=_lines(drawn, picture.size)))
    if hidden:
        layers.append(TextLayer(verdict="invisible", lines=_lines(hidden, picture.size)))
    return tuple(layers)


def good_layer(layers: Sequence[TextLayer]) -> TextLayer | None:
    """The layer that a page's text is taken from: then the page stands as it is, and OCR is not asked. None: it is."""
    return next((layer for layer in layers if layer.verdict == "good"), None)


def runs_level(layer: TextLayer) -> bool:
    """Whether most of a layer's letters stand in lines that run across the picture: else the page lies on its side."""
    lengths = [len(line.text) if is_level(line.text, line.box) else -len(line.text) for line in layer.lines if line.box]
    return sum(lengths) >= 0


def turned(layer: TextLayer, degrees: Degrees, width: int, height: int) -> TextLayer:
    """The layer on its page of `width` x `height` pixels after that was turned clockwise; lines may have no boxes."""
    lines = tuple(
        line.model_copy(update={"box": _turned(line.box, degrees, width, height) if line.box else None})
        for line in layer.lines
    )
    return TextLayer(verdict=layer.verdict, lines=lines)


def _turned(box: Box, degrees: Degrees, width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    turns: dict[int, Box] = {
        0: box,
        90: (height - y1, x0, height - y0, x1),
        180: (width - x1, height - y1, width - x0, height - y0),
        270: (y0, width - x1, y1, width - x0),
    }
    return turns[degrees]


def _lines(lines: Sequence[LayerLine], size: tuple[int, int]) -> tuple[Line, ...]:
    return tuple(Line(text=_printable(line.text), box=clipped(line.box, *size), score=1) for line in lines)


def _printable(text: str) -> str:
    """Without control characters and halves of surrogate pairs: databases and encoders refuse some of them."""
    return "".join(letter for letter in text if letter == "\t" or unicodedata.category(letter) not in ("Cc", "Cs"))

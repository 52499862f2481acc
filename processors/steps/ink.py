"""What of a page's picture is ink, and what of the ink looks like text."""

from collections.abc import Iterable

import numpy
from numpy.typing import NDArray
from PIL.Image import Image

from schemas.documents import Box

_VISIBLE = 24  # of 255 levels of grey: fainter than this on its paper, nobody reads it
_SPECKS = 0.01  # share of a line's box: less is noise or dust; thin letters fill 0.05
_CELL = 16  # pixels: about as high as a line at 150 dpi
_INK, _FAINT = 40, 12  # levels of grey off the paper: ink from the one on, paper up to the other
_LEAST, _MOST = 0.04, 0.5  # share of ink in a cell of text: less is blank or a rule, more is a drawing
_SHADED = 0.5  # share of a cell between ink and paper: more is a photograph


class Ink:
    """One page's picture in grey; boxes are in its pixels."""

    def __init__(self, image: Image) -> None:
        self._grey: NDArray[numpy.uint8] = numpy.asarray(image.convert("L"))

    def shows(self, box: Box) -> bool:
        """Whether there is any contrast inside a box: without, whatever was written there is not to be seen."""
        x0, y0, x1, y1 = (round(max(value, 0)) for value in box)
        inside = self._grey[y0:y1, x0:x1].astype(numpy.int16)
        return bool(inside.size) and bool((abs(inside - numpy.median(inside)) > _VISIBLE).mean() >= _SPECKS)

    def beyond(self, boxes: Iterable[Box]) -> float:
        """The share, 0 to 1, that lies in none of the boxes, of all that looks like text; 0 where nothing does."""
        text = self._text()
        whole = text.sum()
        if not whole:
            return 0.0
        for x0, y0, x1, y1 in boxes:
            left, top, right, bottom = (int(max(value, 0)) // _CELL for value in (x0, y0, x1, y1))
            text[top : bottom + 1, left : right + 1] = False
        return float(text.sum() / whole)

    def _text(self) -> NDArray[numpy.bool_]:
        """For each cell of the page, whether it holds strokes on even paper: what text has, and no photograph."""
        rows, columns = (size // _CELL for size in self._grey.shape)
        whole = self._grey[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL)
        cells = whole.swapaxes(1, 2).reshape(rows, columns, _CELL * _CELL).astype(numpy.int16)
        off = abs(cells - numpy.median(cells, axis=2, keepdims=True))
        ink = (off > _INK).mean(axis=2)
        shaded = ((off > _FAINT) & (off <= _INK)).mean(axis=2)
        strokes: NDArray[numpy.bool_] = (ink > _LEAST) & (ink < _MOST) & (shaded < _SHADED)
        return strokes

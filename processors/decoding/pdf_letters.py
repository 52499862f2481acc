"""The letters of a PDF page as pdfium gives them, in pixels of the page's picture."""

import ctypes
import math
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pypdfium2.raw as pdfium

from processors.decoding.pages import Box

MOST_CHARACTERS = 50_000
"""Of one page: the densest newspaper page has 20,000. A page of more is read from its picture alone."""

_ANGLE_STEP = math.radians(5)
_FINE = 1000  # pdfium gives whole pixels only: asked for a picture this many times as large
_INVISIBLE = frozenset({pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP})
_FILLED = frozenset({pdfium.FPDF_TEXTRENDERMODE_FILL, pdfium.FPDF_TEXTRENDERMODE_FILL_CLIP})
_UNKNOWN = "\ufffd"


@dataclass(frozen=True, slots=True)
class Letter:
    """A character: its box in pixels, and where it begins, ends and stands in the direction of its line."""

    text: str
    box: Box
    begin: float
    end: float
    baseline: float
    height: float
    style: tuple[int, bool]  # direction in steps, and whether it is drawn
    spaced: bool  # a blank or a line's end stands before it


class _Affine:
    """Page coordinates to pixels."""

    def __init__(self, page: Any, width: int, height: int) -> None:
        (x, y), (x1, y1), (x2, y2) = (self._device(page, width, height, *at) for at in ((0, 0), (_FINE, 0), (0, _FINE)))
        self._x, self._y = x, y
        self._a, self._b, self._c, self._d = ((v / _FINE) for v in (x1 - x, y1 - y, x2 - x, y2 - y))

    @staticmethod
    def _device(page: Any, width: int, height: int, at_x: float, at_y: float) -> tuple[float, float]:
        x, y = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, width * _FINE, height * _FINE, 0, at_x, at_y, x, y)
        return x.value / _FINE, y.value / _FINE

    def point(self, x: float, y: float) -> tuple[float, float]:
        return self._x + self._a * x + self._c * y, self._y + self._b * x + self._d * y

    def direction(self, x: float, y: float) -> float:
        return math.atan2(self._b * x + self._d * y, self._a * x + self._c * y)

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        (x0, y0), (x1, y1) = self.point(left, bottom), self.point(right, top)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


@dataclass(frozen=True)
class _Style:
    """What the letters of one text object have in common."""

    angle: float
    drawn: bool

    @cached_property
    def key(self) -> tuple[int, bool]:
        return round(self.angle / _ANGLE_STEP) % round(2 * math.pi / _ANGLE_STEP), self.drawn

    def along(self, x: float, y: float) -> float:
        return x * math.cos(self.angle) + y * math.sin(self.angle)

    def across(self, x: float, y: float) -> float:
        return y * math.cos(self.angle) - x * math.sin(self.angle)


def page_letters(page: Any, width: int, height: int) -> list[Letter]:
    """The letters of a pdfium `page` whose picture has `width` x `height` pixels, in the order of the file.

    Characters without Unicode are U+FFFD. Empty where the page has more than `MOST_CHARACTERS`.
    """
    text = pdfium.FPDFText_LoadPage(page)
    if not text:
        return []
    try:
        count = pdfium.FPDFText_CountChars(text)
        if not 0 < count <= MOST_CHARACTERS:
            return []
        affine = _Affine(page, width, height)
        return [letter for letter in _letters(text, count, affine) if _inside(letter.box, width, height)]
    finally:
        pdfium.FPDFText_ClosePage(text)


def _letters(text: Any, count: int, affine: _Affine) -> Iterator[Letter]:
    styles: dict[int, _Style] = {}
    left, right, bottom, top, x, y = (ctypes.c_double() for _ in range(6))
    loose = pdfium.FS_RECTF()
    spaced = False
    for index in range(count):
        code = pdfium.FPDFText_GetUnicode(text, index)
        character = chr(code) if code <= sys.maxunicode else _UNKNOWN
        owner = pdfium.FPDFText_GetTextObject(text, index)
        if not owner or character.isspace():  # pdfium makes blanks and line ends up where it sees gaps
            spaced = True
            continue
        address = ctypes.addressof(owner.contents)
        style = styles.get(address)
        if style is None:
            style = styles[address] = _style(text, index, owner, affine)
        pdfium.FPDFText_GetCharBox(text, index, left, right, bottom, top)
        pdfium.FPDFText_GetCharOrigin(text, index, x, y)
        pdfium.FPDFText_GetLooseCharBox(text, index, loose)
        wide = affine.box(loose.left, loose.bottom, loose.right, loose.top)
        box = affine.box(left.value, bottom.value, right.value, top.value)
        if not all(map(math.isfinite, (*wide, *box))):
            continue
        if box[0] >= box[2] or box[1] >= box[3]:  # a font without outlines
            box = wide
        corners = [(wide[0], wide[1]), (wide[2], wide[1]), (wide[0], wide[3]), (wide[2], wide[3])]
        along = [style.along(*corner) for corner in corners]
        across = [style.across(*corner) for corner in corners]
        baseline = style.across(*affine.point(x.value, y.value))
        tall = max(across) - min(across)
        yield Letter(_readable(text, index, character), box, min(along), max(along), baseline, tall, style.key, spaced)
        spaced = False


def _style(text: Any, index: int, owner: Any, affine: _Affine) -> _Style:
    matrix = pdfium.FS_MATRIX(1, 0, 0, 1, 0, 0)
    pdfium.FPDFText_GetMatrix(text, index, matrix)
    red, green, blue, alpha = (ctypes.c_uint(255) for _ in range(4))
    pdfium.FPDFText_GetFillColor(text, index, red, green, blue, alpha)
    mode = pdfium.FPDFTextObj_GetTextRenderMode(owner)
    clear = mode in _FILLED and alpha.value == 0
    return _Style(affine.direction(matrix.a, matrix.b), drawn=mode not in _INVISIBLE and not clear)


def _readable(text: Any, index: int, character: str) -> str:
    if pdfium.FPDFText_IsHyphen(text, index) == 1:  # at a line's end; the character itself is a control code then
        return "-"
    if pdfium.FPDFText_HasUnicodeMapError(text, index) == 1 or unicodedata.category(character) in {"Cc", "Cn"}:
        return _UNKNOWN
    return character


def _inside(box: Box, width: int, height: int) -> bool:
    """Whether any of it is on the page: what lies beyond its edges nobody sees."""
    return box[0] < width and box[1] < height and box[2] > 0 and box[3] > 0

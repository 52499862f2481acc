"""Pages of PDF files, in the child: their pictures and the text that they hold.

pdfium is built without JavaScript; launch actions, links and embedded files are never followed.
"""

import contextlib
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from processors.decoding.limits import Limits
from processors.decoding.pages import EVERY, LayerLine
from processors.decoding.pdf_text import layer_lines
from processors.decoding.picture import check_size, flatten
from processors.decoding.structure import too_many
from schemas.errors import DecodeFailed, Encrypted, Truncated

_POINTS_PER_INCH = 72
_A4_POINTS = 842
_SCAN_AMONG = 50  # objects: a scan is drawn before the text that is written over it
_DRAWN_ANNOTATIONS = frozenset({pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_STAMP})


def open_pdf(
    content: bytes, dpi: int, limits: Limits, wanted: slice = EVERY
) -> tuple[int, Iterator[tuple[Image.Image, list[LayerLine]]]]:
    """The number of pages, and of each one wanted its picture at `dpi`, upright in mode L or RGB, and its own text.

    Raises `Encrypted`, `Truncated`, `DecodeFailed` or `TooManyPages`; the iterator raises `TooManyPixels` or
    `TooNarrow` for a page of such a size before it renders it, and `DecodeFailed`.
    """
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise Encrypted from error
        raise (Truncated() if _ends_early(content) else DecodeFailed()) from error
    count = len(document)
    if count > limits.pages:
        raise too_many(count, limits.pages)
    if _ends_early(content):  # pdfium repairs what it can and is silent about pages that are gone
        raise Truncated
    if not count:
        raise DecodeFailed("the PDF has no pages")
    document.init_forms()  # without it the values of filled-in fields are not drawn
    return count, _pages(document, range(count)[wanted], dpi, limits)


def _ends_early(content: bytes) -> bool:
    """Whether the end mark is missing, or followed by more of the file.

    A linearised or updated PDF has an end mark inside as well: cut after it, it opens with pages missing.
    """
    end = content.rfind(b"%%EOF")
    return end < 0 or b" obj" in content[end:]


def _pages(
    document: pypdfium2.PdfDocument, wanted: range, dpi: int, limits: Limits
) -> Iterator[tuple[Image.Image, list[LayerLine]]]:
    characters = limits.characters
    for index in wanted:
        try:
            picture, lines = _page(document, index, dpi, limits)
        except pypdfium2.PdfiumError as error:
            raise DecodeFailed(f"page {index + 1} cannot be rendered") from error
        characters -= sum(len(line.text) for line in lines)
        yield picture, lines if characters >= 0 else []  # no fault: the page is read from its picture then


def _page(document: pypdfium2.PdfDocument, index: int, dpi: int, limits: Limits) -> tuple[Image.Image, list[LayerLine]]:
    page: Any = document[index]  # its annotations say that a scale is an int
    scale = _resolution(page, dpi) / _POINTS_PER_INCH
    width, height = (math.ceil(side * scale) for side in page.get_size())
    check_size(width, height, limits)
    bitmap = page.render(scale=scale, rev_byteorder=True)
    picture = flatten(bitmap.to_pil())
    bitmap.close()
    if _has_text_outside(page):  # such as a form's values, which are on the picture and not in the text
        pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
        page.close()
        page = document[index]
    lines = layer_lines(page, width, height)
    page.close()
    return picture, lines


def _resolution(page: Any, dpi: int) -> float:
    """The dpi to render at: more than `dpi` for a small page that is a finer scan, up to that scan's own.

    Such a page would lose what its scanner saw. It gets at most the pixels down its longer side that A4 has at `dpi`.
    """
    across, down = page.get_size()
    finest = float(dpi)
    for item in islice(page.get_objects(max_depth=1), _SCAN_AMONG):
        if item.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            with contextlib.suppress(pypdfium2.PdfiumError):  # one that cannot tell its size says nothing of the page
                left, bottom, right, top = item.get_bounds()
                if 2 * (right - left) * (top - bottom) > across * down:
                    finest = max(finest, item.get_px_size()[0] * _POINTS_PER_INCH / (right - left))
    most: float = dpi * max(1.0, _A4_POINTS / max(across, down))
    return min(finest, most)


def _has_text_outside(page: Any) -> bool:
    """Whether annotations that show text of their own lie on the page."""
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        pdfium.FPDFPage_CloseAnnot(annotation)
        if kind in _DRAWN_ANNOTATIONS:
            return True
    return False

"""Pictures of the pages of a PDF, in the child."""

import math
from collections.abc import Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw
from PIL import Image

from processors.decoding.limits import Limits
from processors.decoding.picture import check_size, flatten
from schemas.errors import DecodeFailed, Encrypted, TooManyPages, Truncated
from schemas.media import PDF, ends_early

_POINTS_PER_INCH = 72


def open_pdf(content: bytes, dpi: int, limits: Limits) -> tuple[int, Iterator[Image.Image]]:
    """The number of pages, and each page rendered upright at `dpi`, in mode L or RGB.

    Raises `Encrypted`, `Truncated`, `DecodeFailed` or `TooManyPages`; the iterator raises `TooManyPixels` for a page
    of too large a size before it renders it.
    """
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise Encrypted from error
        raise (Truncated() if ends_early(content, PDF) else DecodeFailed()) from error
    count = len(document)
    if count > limits.pages:
        raise TooManyPages(f"{count} pages are more than the {limits.pages} that this server accepts")
    if ends_early(content, PDF):  # pdfium repairs what it can and is silent about pages that are gone
        raise Truncated
    if not count:
        raise DecodeFailed("the PDF has no pages")
    document.init_forms()  # without it the values of filled-in fields are not drawn
    return count, (_render(document, index, dpi, limits) for index in range(count))


def _render(document: pypdfium2.PdfDocument, index: int, dpi: int, limits: Limits) -> Image.Image:
    scale = dpi / _POINTS_PER_INCH
    try:
        page: Any = document[index]  # its annotations say that a scale is an int
        width, height = page.get_size()
        check_size(math.ceil(width * scale), math.ceil(height * scale), limits)
        bitmap = page.render(scale=scale, rev_byteorder=True)
    except pypdfium2.PdfiumError as error:
        raise DecodeFailed(f"page {index + 1} cannot be rendered") from error
    picture = flatten(bitmap.to_pil())
    bitmap.close()
    page.close()
    return picture

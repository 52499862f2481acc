"""Pages as bytes between the decoding child and its parent, which believes nothing that it reads."""

import json
import math
import re
from typing import Any

from processors.decoding.limits import Limits
from processors.decoding.pages import LayerLine, PicturePage, TextBlock, TextPage
from processors.decoding.wire import Header

MOST_TEXT = 32 * 1024**2
"""Bytes of one page's text: the child's own caps on a page's characters stay far below."""

_CHANNELS = {"L": 1, "RGB": 3}
_KINDS = frozenset({"heading", "text", "table"})
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes neither


def layer_bytes(lines: list[LayerLine]) -> bytes:
    """A page's own text, to be read by `layer_of`; empty where there is none."""
    if not lines:
        return b""
    return _bytes([[line.text, [round(edge, 2) for edge in line.box], line.drawn] for line in lines])


def blocks_bytes(blocks: tuple[TextBlock, ...]) -> bytes:
    """A section's blocks, to be read by `text_page`."""
    return _bytes([[block.kind, block.lines, block.rows] for block in blocks])


def picture_page(number: int, header: Header, pixels: bytes, layer: bytes, limits: Limits) -> PicturePage:
    """The page that the child describes; raises ValueError unless every word of it can be true."""
    width, height, mode = header.get("width"), header.get("height"), header.get("mode")
    if type(width) is not int or type(height) is not int or not isinstance(mode, str) or mode not in _CHANNELS:
        raise ValueError("no shape of a picture")
    if min(width, height) < 1 or width * height > limits.pixels or len(pixels) != width * height * _CHANNELS[mode]:
        raise ValueError("the pixels do not fit the shape")
    lines = tuple(_layer_line(item, width, height) for item in _list(_parsed(layer))) if layer else ()
    return PicturePage(number, width, height, mode, pixels, lines)


def text_page(number: int, body: bytes) -> TextPage:
    """The section that the child describes; raises ValueError unless it is one."""
    return TextPage(number, tuple(_block(item) for item in _list(_parsed(body))))


def characters(page: PicturePage | TextPage) -> int:
    """The characters of text that a page itself holds."""
    if isinstance(page, PicturePage):
        return sum(len(line.text) for line in page.layer)
    return sum(
        sum(map(len, block.lines)) + sum(len(cell) for row in block.rows for cell in row) for block in page.blocks
    )


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("the text is nested too deep") from error


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or _UNSTORABLE.search(value):
        raise ValueError("not a text")
    return value


def _layer_line(item: Any, width: int, height: int) -> LayerLine:
    text, box, drawn = _list(item)
    x0, y0, x1, y1 = (float(edge) for edge in _list(box) if type(edge) in (int, float) and math.isfinite(edge))
    if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height) or not isinstance(drawn, bool):
        raise ValueError("a line that is not on its page")
    return LayerLine(_text(text), (x0, y0, x1, y1), drawn)


def _block(item: Any) -> TextBlock:
    kind, lines, rows = _list(item)
    if kind not in _KINDS:
        raise ValueError("an unknown kind of block")
    return TextBlock(kind, tuple(map(_text, _list(lines))), tuple(tuple(map(_text, _list(row))) for row in _list(rows)))

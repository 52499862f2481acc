"""The outer structure of picture files, walked without a decoder: is the file whole, and which frames are pages.

Decoders are lenient, each in its own way: without this a file cut short becomes a picture with a grey end, or the
first half of a document.
"""

import re
import struct
from collections.abc import Callable

from schemas.errors import DecodeFailed, TooManyPages, Truncated
from schemas.media import BMP, GIF, HEIC, JPEG, PNG, TIFF, WEBP

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in coded data: neither a stuffed byte nor a restart
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TIFF_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_TIFF_ENTRIES = 4096  # baseline and extensions know some hundred tags
_TIFF_PIECES = 2**20  # strips of one row each, 50 million pixels, 50 pixels wide
_SUBFILE, _OFFSETS, _SIZES = 254, (273, 324), (279, 325)
_THUMBNAIL, _MASK = 1, 4


def page_frames(content: bytes, media: str, most: int) -> list[int] | None:
    """The indices of the frames that are pages; None where the decoder's own count is cheap and right.

    Raises `Truncated` for a file that ends before its structure does, `TooManyPages` past `most`, `DecodeFailed`.
    """
    try:
        return _WALKS[media](content, most)
    except (IndexError, struct.error) as error:  # whatever is read past the end
        raise Truncated from error


def too_many(count: int, most: int) -> TooManyPages:
    """The error of a document with `count` pages, or at least so many."""
    return TooManyPages(f"{count} pages are more than the {most} that this server accepts")


def _within(end: int, content: bytes) -> int:
    if end > len(content):
        raise Truncated
    return end


def _png(content: bytes, _most: int) -> None:
    at, kind = 8, b""
    while kind != b"IEND":
        size, kind = struct.unpack_from(">I4s", content, at)
        at = _within(at + 12 + size, content)


def _jpeg(content: bytes, _most: int) -> list[int]:
    at = 2
    while True:
        at = content.find(b"\xff", at)
        if at < 0:
            raise Truncated
        while content[at] == 0xFF:  # any number of fill bytes
            at += 1
        marker, at = content[at], at + 1
        if marker == 0xD9:
            return [0]  # what follows, such as a second picture for one's other eye, is not looked at
        if marker in _JPEG_BARE:
            continue
        at = _within(at + struct.unpack_from(">H", content, at)[0], content)
        if marker == 0xDA:
            coded = _JPEG_MARKER.search(content, at)
            if coded is None:
                raise Truncated
            at = coded.start()


def _gif(content: bytes, most: int) -> list[int]:
    def color_table(flags: int) -> int:
        return 3 << (1 + (flags & 7)) if flags & 0x80 else 0

    frames = 0
    at = 13 + color_table(content[10])
    while content[at] != 0x3B:
        kind = content[at]
        at += 1
        if kind == 0x2C:
            frames += 1
            if frames > most:
                raise too_many(frames, most)
            at += 10 + color_table(content[at + 8])
        elif kind == 0x21:
            at += 1
        else:
            continue
        while size := content[at]:
            at += 1 + size
        at += 1
    return list(range(frames))


def _webp(content: bytes, _most: int) -> None:
    _within(8 + struct.unpack_from("<I", content, 4)[0], content)


def _bmp(content: bytes, _most: int) -> list[int]:
    begin, header = struct.unpack_from("<II", content, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", content, 18)
        packing, size = 0, 0
    else:
        width, height, _, bits, packing, size = struct.unpack_from("<iiHHII", content, 18)
    if packing in (0, 3, 6):  # not run lengths
        size = (abs(width) * bits + 31) // 32 * 4 * abs(height)
    _within(begin + size, content)
    return [0]


def _heic(content: bytes, _most: int) -> None:
    at, kinds = 0, set()
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        at = _within(at + size, content) if size else len(content)
        if 0 < size < 8:
            raise DecodeFailed
        kinds.add(kind)
    if b"meta" not in kinds or (b"mdat" not in kinds and b"idat" not in content):
        raise Truncated


class _Directories:
    """The chain of a TIFF file's image directories."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._order = "<" if content[:2] == b"II" else ">"
        self._big = content[2:4] in (b"+\0", b"\0+")
        self._word = "Q" if self._big else "I"
        self.first: int = self._at(8 if self._big else 4, self._word)[0]

    def _at(self, offset: int, layout: str) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, self._content, offset)

    def read(self, offset: int) -> tuple[int, int]:
        """The subfile type of the directory at `offset` and the offset of the next, when all that it names is there."""
        (count,) = self._at(offset, "Q" if self._big else "H")
        if count > _TIFF_ENTRIES:
            raise DecodeFailed
        entry, begin = 12 + 8 * self._big, offset + 2 + 6 * self._big
        values = {}
        for at in range(begin, begin + count * entry, entry):
            tag, found = self._entry(at)
            values[tag] = found
        for offsets, sizes in zip(_OFFSETS, _SIZES, strict=True):
            for where, size in zip(values.get(offsets, ()), values.get(sizes, ()), strict=False):
                _within(where + size, self._content)
        following: int = self._at(begin + count * entry, self._word)[0]
        return next(iter(values.get(_SUBFILE, ())), 0), following

    def _entry(self, at: int) -> tuple[int, tuple[int, ...]]:
        tag, kind, count = self._at(at, f"HH{self._word}")
        size, value = _TIFF_SIZES.get(kind, 0) * count, at + 4 + struct.calcsize("=" + self._word)
        if size > struct.calcsize("=" + self._word):
            value = self._at(value, self._word)[0]
        _within(value + size, self._content)
        if tag not in (_SUBFILE, *_OFFSETS, *_SIZES) or kind not in _TIFF_INTEGERS:
            return tag, ()
        if count > _TIFF_PIECES:
            raise DecodeFailed
        return tag, self._at(value, f"{count}{_TIFF_INTEGERS[kind]}")


def _tiff(content: bytes, most: int) -> list[int]:
    directories = _Directories(content)
    kinds: list[int] = []
    offset, seen = directories.first, set[int]()
    while offset and offset not in seen:
        seen.add(offset)
        kind, offset = directories.read(offset)
        kinds.append(kind)
        if len(kinds) > 2 * most:  # a page may bring a thumbnail
            raise too_many(len(kinds), most)
    pages = [index for index, kind in enumerate(kinds) if not kind & (_THUMBNAIL | _MASK)]
    if len(pages) > most:
        raise too_many(len(pages), most)
    return pages or list(range(len(kinds)))


_WALKS: dict[str, Callable[[bytes, int], list[int] | None]] = {
    PNG: _png,
    JPEG: _jpeg,
    GIF: _gif,
    WEBP: _webp,
    BMP: _bmp,
    HEIC: _heic,
    TIFF: _tiff,
}

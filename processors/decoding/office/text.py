"""Text of untrusted documents, made fit to store, and plain text files."""

import codecs
import re
import unicodedata
from collections.abc import Iterator

from processors.decoding.pages import TextBlock
from schemas.errors import DecodeFailed
from schemas.media import BOMS

_UNLIKELY = {"utf-16", "utf-32", "idna", "punycode"}  # without a mark the first two are not meant, the others are slow
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` on one line: tabs as blanks, other control characters left out, lone surrogates as U+FFFD.

    PostgreSQL stores neither NUL nor surrogates.
    """
    return _UNSTORABLE.sub(_storable, text).strip()


def _storable(match: re.Match[str]) -> str:
    character = match.group()
    if unicodedata.category(character) == "Cs":
        return "\ufffd"
    return " " if character in "\t\n\r\v\f\x85" else ""


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of `text` that are not blank, each cleaned."""
    return tuple(line for line in map(clean, text.splitlines()) if line)


def text_block(text: str, kind: str = "text") -> Iterator[TextBlock]:
    """The block of `text`, or nothing where it is blank."""
    if lines := lines_of(text):
        yield TextBlock(kind, lines)


def table_block(rows: list[list[str]]) -> Iterator[TextBlock]:
    """The table of `rows`, without rows and trailing columns that are blank; nothing where all is."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    width = max((last for row in cleaned for last, cell in enumerate(row, 1) if cell), default=0)
    kept = tuple(tuple(row[:width]) for row in cleaned if any(row))
    if kept:
        yield TextBlock("table", rows=kept)


def bom(content: bytes) -> tuple[bytes, str] | None:
    """The byte order mark that `content` begins with, and its encoding."""
    return next((mark for mark in BOMS if content.startswith(mark[0])), None)


def decoded(content: bytes, *charsets: str) -> str:
    """`content` in the first of `charsets` that fits, else UTF-8, else what browsers fall back on; never fails."""
    for charset in (*charsets, "utf-8"):
        try:
            if charset and codecs.lookup(charset).name not in _UNLIKELY:
                return content.decode(charset)
        except (LookupError, ValueError):
            continue
    return content.decode("cp1252", errors="replace")


def plain_blocks(content: bytes) -> Iterator[TextBlock]:
    """Paragraphs of a plain text file, parted by blank lines; raises `DecodeFailed` where it is not Unicode."""
    mark, encoding = bom(content) or (b"", "utf-8")
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise DecodeFailed("the text is in no Unicode encoding") from error
    yield from paragraphs(text)


def paragraphs(text: str) -> Iterator[TextBlock]:
    """A block for each run of lines that are not blank."""
    block: list[str] = []
    for line in map(clean, text.splitlines()):
        if line:
            block.append(line)
        elif block:
            yield TextBlock("text", tuple(block))
            block = []
    if block:
        yield TextBlock("text", tuple(block))

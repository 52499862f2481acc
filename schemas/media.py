"""The type of a file by its content: names and declared types are the caller's words, not facts.

Only the head is looked at, and the first type that it fits is the one decoded: of a file that is two things at once,
the other thing is never looked at.
"""

import codecs
import re
import struct

from schemas.errors import EmptyInput, UnsupportedMedia

PDF = "application/pdf"
PNG = "image/png"
JPEG = "image/jpeg"
TIFF = "image/tiff"
WEBP = "image/webp"
HEIC = "image/heic"
BMP = "image/bmp"
GIF = "image/gif"
OOXML = "application/zip"
"""A zip as office programs write it; which of the next three it is, the decoding child finds."""
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML = "text/html"
EMAIL = "message/rfc822"
TEXT = "text/plain"

PICTURES = frozenset({PNG, JPEG, TIFF, WEBP, HEIC, BMP, GIF})
DOCUMENTS = frozenset({OOXML, HTML, EMAIL, TEXT})
"""What has text and no page pictures."""
HEAD = 4096
"""Bytes at the beginning of a file that its type is told by."""

_PDF_HEADER_WITHIN = 1024  # the specification's reading note: the header may lie this far in
_MAGICS = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0\x08\0\0\0", TIFF),
    (b"MM\0+\0\x08\0\0", TIFF),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
)
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_OTHER_BRANDS = frozenset({b"avif", b"avis"})  # they share mif1 and msf1 with HEIC
_OOXML_FIRST = ("[content_types].xml", "_rels/", "docprops/", "word/", "ppt/", "xl/", "customxml/")
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Marks that a text may begin with, and the encoding that each tells."""
_COMMENTS = re.compile(r"(?:\s+|<!--.*?-->)*", re.DOTALL)
_HTML_BEGINS = re.compile(
    r"<(?:!doctype\s+html|html|head|body|title|meta|style|script|iframe|table|div|span|font|h1|br|b|a|p)[\s/>]", re.I
)
_MARKUP = re.compile(
    r"<[a-z?!/]|\{\\rtf|%!", re.I
)  # XML of any kind, RTF, PostScript: text, but not to be read as such
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff]")
_FIELD = re.compile(rb"(?P<name>[!-9;-~]+):(?:[ \t][^\x00-\x08\x0b-\x1f\x7f]*)?")
_EMAIL_FIELDS = frozenset(
    {b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"received", b"return-path", b"delivered-to"}
)


def media_type(content: bytes) -> str:
    """PDF, one of `PICTURES` or one of `DOCUMENTS`, by the first `HEAD` bytes of a file.

    Raises `EmptyInput` or `UnsupportedMedia`.
    """
    if not content:
        raise EmptyInput
    head = content[:HEAD]
    found = _picture(head)
    if found is None and head.startswith(b"PK\x03\x04"):
        found = _zip(head)
    elif found is None:
        found = PDF if b"%PDF-" in head[:_PDF_HEADER_WITHIN] else _text(head, whole=len(content) < HEAD)
    if found is None:
        raise UnsupportedMedia
    return found


def _picture(head: bytes) -> str | None:
    for magic, media in _MAGICS:
        if head.startswith(magic):
            return media
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:2] == b"BM" and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS:
        return BMP
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        end = min(struct.unpack_from(">I", head)[0], len(head))
        others = {head[at : at + 4] for at in range(16, end, 4)} & _OTHER_BRANDS
        return None if others else HEIC
    return None


def _zip(head: bytes) -> str | None:
    """OOXML where the first member is one that writers of office files put first."""
    if len(head) < 30:
        return None
    name = head[30 : 30 + struct.unpack_from("<H", head, 26)[0]]
    return OOXML if name.decode("latin-1").lower().startswith(_OOXML_FIRST) else None


def _text(head: bytes, *, whole: bool) -> str | None:
    mark, encoding = next((bom for bom in BOMS if head.startswith(bom[0])), (b"", "utf-8"))
    if not mark and _email(head, whole=whole):
        return EMAIL  # before what follows: its body may be in any encoding
    begin = head[len(mark) :].decode(encoding if mark else "latin-1", "replace")
    begin = begin[_COMMENTS.match(begin).end() :]  # type: ignore[union-attr]  # it matches nothing too
    if _HTML_BEGINS.match(begin):
        return HTML if "\0" not in begin else None  # HTML says its encoding itself
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head[len(mark) :], final=whole)
    except UnicodeDecodeError:
        return None
    return None if _MARKUP.match(begin) or _CONTROL.search(text) else TEXT


def _email(head: bytes, *, whole: bool) -> bool:
    """Whether it begins with header fields of RFC 5322, at least two of them those that mail has."""
    lines = re.split(rb"\r?\n", head)
    if not whole:
        lines.pop()  # it may be cut anywhere
    known = set()
    for number, line in enumerate(lines):
        if not line:
            break
        if line[:1] in b" \t" and number:
            continue
        if number == 0 and line.startswith((b"From ", b">From ")):  # the line that a mailbox puts before each mail
            continue
        field = _FIELD.fullmatch(line)
        if field is None:
            return False
        known.add(field["name"].lower())
    return len(known & _EMAIL_FIELDS) >= 2

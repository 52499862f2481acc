"""The type of a file is told by its content."""

import codecs
import gzip
import io
import random
import struct
import tarfile
import zipfile

import pytest

from schemas.errors import EmptyInput, UnsupportedMedia
from schemas.media import (
    BMP,
    DOCUMENTS,
    EMAIL,
    GIF,
    HEAD,
    HEIC,
    HTML,
    JPEG,
    OOXML,
    PDF,
    PICTURES,
    PNG,
    TEXT,
    TIFF,
    WEBP,
    media_type,
)

MAIL = b"From: weir@example.com\r\nTo: mill@example.com\r\nSubject: Pump\r\n\r\nIt stands still.\r\n"


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, "content")
    return file.getvalue()


def brand(major: bytes, *others: bytes) -> bytes:
    return struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + major + bytes(4) + b"".join(others) + bytes(40)


KNOWN = [
    (PDF, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    (PDF, b"\x1b%-12345X@PJL\r\n" + b"%PDF-1.4"),
    (PDF, b"\n" * 1015 + b"%PDF-1.4"),
    (PNG, b"\x89PNG\r\n\x1a\n"),
    (JPEG, b"\xff\xd8\xff\xe0"),
    (TIFF, b"II*\0\x08\0\0\0"),
    (TIFF, b"MM\0*\0\0\0\x08"),
    (TIFF, b"II+\0\x08\0\0\0\x10"),
    (TIFF, b"MM\0+\0\x08\0\0\0"),
    (WEBP, b"RIFF\x10\0\0\0WEBPVP8L"),
    (HEIC, brand(b"heic", b"mif1", b"heic")),
    (HEIC, brand(b"mif1", b"heic")),
    (BMP, b"BM" + bytes(12) + b"\x28\0\0\0"),
    (GIF, b"GIF89a"),
    (GIF, b"GIF87a"),
    (OOXML, archive("[Content_Types].xml", "word/document.xml")),
    (OOXML, archive("_rels/.rels")),
    (OOXML, archive("docProps/app.xml")),
    (HTML, b"<!DOCTYPE html>\n<html>"),
    (HTML, b" \n<!-- saved from -->\n<HTML lang=de>"),
    (HTML, codecs.BOM_UTF8 + b"<html>\xe4"),
    (HTML, codecs.BOM_UTF16_LE + "<html><p>Öl".encode("utf-16-le")),
    (HTML, b"<p>\xe4 in Latin-1</p>"),
    (EMAIL, MAIL),
    (EMAIL, b"From weir Mon Mar  2 10:00:00 2026\nReceived: from a\n\tby b; today\nDate: today\n\n\xe4\xf6"),
    (EMAIL, MAIL.replace(b"\r\n\r\n", b"\r\nX-Long: " + b"a" * HEAD + b"\r\n\r\n")),
    (TEXT, b"The pump stands still."),
    (TEXT, "Öl, 油, 😀\ttab\r\nline\f".encode()),
    (TEXT, codecs.BOM_UTF16_BE + "Öl".encode("utf-16-be")),
    (TEXT, codecs.BOM_UTF32_LE + "Öl".encode("utf-32-le")),
    (TEXT, b"Note: the pump\nstands still"),
    (TEXT, b"BMW, PK and GIF are words"),
    (TEXT, ("x" * (HEAD - 1) + "ö" + "x" * 9).encode()),
]
OTHERS = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/x"/></svg>',
    "svg with prolog": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "svg behind a comment": b"<!-- a --> \n<svg>",
    "xml": codecs.BOM_UTF8 + b"<?xml version='1.0'?><a/>",
    "utf-16 xml": codecs.BOM_UTF16_LE + "<?xml version='1.0'?><a/>".encode("utf-16-le"),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "dos eps": b"\xc5\xd0\xd3\xc6" + bytes(40),
    "avif": brand(b"avif", b"mif1"),
    "avif under another name": brand(b"mif1", b"avif", b"miaf"),
    "video": brand(b"isom", b"mp42"),
    "jxl": b"\xff\x0a" + bytes(30),
    "jxl box": b"\0\0\0\x0cJXL \r\n\x87\n",
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "rtf": b"{\\rtf1\\ansi Hello}",
    "zip": archive("a.txt"),
    "jar": archive("META-INF/MANIFEST.MF"),
    "epub": archive("mimetype"),
    "zip upwards": archive("../../etc/passwd"),
    "empty zip": archive(),
    "cut zip": b"PK\x03\x04",
    "gzip": gzip.compress(b"text"),
    "old word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
    "program": b"\x7fELF\x02\x01\x01" + bytes(60),
    "windows program": b"MZ\x90\0\x03",
    "nul in text": b"text\0text",
    "escape in text": b"text\x1b[2Jtext",
    "latin-1 text": b"\xd6l auf Wasser",
    "utf-16 without mark": "text".encode("utf-16-le"),
    "mail of nobody": b"From: a\r\nSubject\x01: b\r\n\r\n\xff",
}  # fmt: skip


@pytest.mark.parametrize(("media", "content"), KNOWN)
def test_the_type_is_told_by_the_content(media: str, content: bytes) -> None:
    assert media_type(content) == media
    assert media == PDF or media in PICTURES | DOCUMENTS


@pytest.mark.parametrize(("media", "content"), KNOWN)
def test_the_door_and_the_decoder_agree_though_the_door_sees_the_head_alone(media: str, content: bytes) -> None:
    whole = content * (2 * HEAD // len(content) + 2)
    assert media_type(whole) == media_type(whole[:HEAD]) == media_type(whole[: HEAD + 500]) == media


@pytest.mark.parametrize("name", OTHERS)
def test_all_else_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedMedia):
        media_type(OTHERS[name])


def test_a_tar_is_refused() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        made.addfile(tarfile.TarInfo("../../etc/passwd"))
    with pytest.raises(UnsupportedMedia):
        media_type(file.getvalue())


def test_nothing_is_an_empty_input() -> None:
    with pytest.raises(EmptyInput):
        media_type(b"")


@pytest.mark.parametrize("seed", range(50))
def test_random_bytes_are_of_no_type(seed: int) -> None:
    with pytest.raises(UnsupportedMedia):
        media_type(random.Random(seed).randbytes(400))


@pytest.mark.parametrize(
    ("media", "content"),
    [
        (GIF, b"GIF89a/*\0\0\0*/=1;alert(1)//"),
        (PDF, b"%PDF-1.7\n" + archive("[Content_Types].xml")),
        (JPEG, b"\xff\xd8\xff\xe0<?php __HALT_COMPILER(); ?><html><script>"),
        (PNG, b"\x89PNG\r\n\x1a\n%PDF-1.7"),
        (OOXML, archive("[Content_Types].xml") + b"%PDF-1.7"),
    ],
)
def test_of_a_file_that_is_two_things_the_first_that_fits_is_taken(media: str, content: bytes) -> None:
    assert media_type(content) == media


def test_a_zip_that_holds_a_pdf_is_no_pdf() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
        made.writestr("a.pdf", "%PDF-1.7")
    with pytest.raises(UnsupportedMedia):
        media_type(file.getvalue())

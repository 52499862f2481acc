"""Office files made to harm: each ends in a refusal with a code, and nothing outside the process is touched."""

import contextlib
import io
import random
import stat
import struct
import zipfile

import pytest

from processors.decoding.office.archive import rewrite
from schemas.errors import DecodeFailed, Encrypted, InputError, TooManyPages, Truncated, UnsupportedMedia
from schemas.media import DOCX, EMAIL, HTML, OOXML, PPTX, TEXT, XLSX
from tests.unit.decoding.office_documents import (
    archive,
    changed,
    members,
    plain_docx,
    prices_xlsx,
    report_docx,
    talk_pptx,
)
from tests.unit.decoding.test_office_documents import LIMITS, read, shown

MAIN = {"docx": "word/document.xml", "xlsx": "xl/worksheets/sheet1.xml", "pptx": "ppt/slides/slide1.xml"}
MADE = {"docx": report_docx, "xlsx": prices_xlsx, "pptx": talk_pptx}
WORDS = plain_docx("<w:p><w:r><w:t>words</w:t></w:r></w:p>")


def with_prolog(part: bytes, doctype: bytes) -> bytes:
    declaration, end, root = part.partition(b"?>")
    return declaration + end + doctype + root if end else doctype + part


LAUGHS = b"<!DOCTYPE x [<!ENTITY a0 'ha'>%s]>" % b"".join(
    b"<!ENTITY a%d '%s'>" % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 12)
)


@pytest.mark.parametrize("kind", MAIN)
@pytest.mark.parametrize(
    "doctype", [b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', LAUGHS, b"<!DOCTYPE x>"]
)
def test_external_entities_and_billion_laughs_are_refused_in_every_kind_of_office_file(
    kind: str, doctype: bytes
) -> None:
    bad = changed(MADE[kind](), MAIN[kind], lambda part: with_prolog(part, doctype))
    with pytest.raises(DecodeFailed, match="document type"):
        read(bad, OOXML)


def test_a_doctype_in_another_encoding_or_part_is_refused_as_well() -> None:
    sneaky = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY e "ha">]><x>&e;</x>'.encode("utf-16")
    for name in ("xl/sharedStrings.xml", "docProps/app.xml", "xl/_rels/workbook.xml.rels", "customXml/ITEM.XML"):
        with pytest.raises(DecodeFailed, match="document type"):
            read(changed(prices_xlsx(), name, lambda _: sneaky), OOXML)


def test_html_entities_name_no_files() -> None:
    _, (page,) = read(b'<!DOCTYPE html [<!ENTITY e SYSTEM "file:///etc/hostname">]><p>a &e; b', HTML)
    assert "&e;" in shown(page)[-1][-1]


def test_a_zip_that_is_no_office_file_is_refused_nested_or_not() -> None:
    inner = archive({f"{number}.bin": bytes(1000) for number in range(10)})
    for content in (archive({"lib.zip": inner}), archive({"[Content_Types].xml": "<Types/>"}), archive({})):
        with pytest.raises(UnsupportedMedia):
            read(content, OOXML)


def test_nested_archives_and_macros_never_reach_a_parser() -> None:
    parts = members(WORDS) | {"word/embeddings/a.zip": archive({"x": bytes(9999)}), "word/vbaProject.bin": b"Sub Auto"}
    _, clean = rewrite(archive(parts), LIMITS)
    assert {name for name, content in members(clean).items() if content} == set(members(WORDS))


def test_too_many_members_are_refused_without_an_object_for_each() -> None:
    parts: dict[str, bytes | str] = dict(members(WORDS))
    with pytest.raises(DecodeFailed, match="1000 members"):
        read(archive(parts | {f"n{number}": b"" for number in range(1000)}), OOXML)
    flood = b"PK\x01\x02" * 10_001
    with pytest.raises(DecodeFailed, match="1000 members"):
        read(WORDS[:-22] + flood + WORDS[-22:], OOXML)


def test_a_huge_ratio_is_refused_before_anything_is_unpacked() -> None:
    with pytest.raises(DecodeFailed, match="unpacks"):
        read(archive(members(WORDS) | {"word/media/a.bmp": bytes(3_000_000)}), OOXML)


def test_a_declared_size_that_lies_gains_nothing() -> None:
    parts = members(WORDS)
    honest = archive(parts | {"word/document.xml": parts["word/document.xml"] + b" " * 2_000_000})
    size = struct.pack("<I", len(parts["word/document.xml"]) + 2_000_000)
    lying = honest.replace(size, struct.pack("<I", 300))
    assert lying != honest
    with pytest.raises(DecodeFailed, match="damaged"):
        read(lying, OOXML)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused() -> None:
    file = io.BytesIO(WORDS)
    with zipfile.ZipFile(file, "a") as made:
        made.writestr("WORD/document.xml", b"<other/>")
    with pytest.raises(DecodeFailed, match="one name"):
        read(file.getvalue(), OOXML)


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "word/../../x", "word\\..\\..\\x"])
def test_names_that_point_out_of_the_archive_are_refused(name: str) -> None:
    with pytest.raises(DecodeFailed, match="points out"):
        read(archive(members(WORDS) | {name: b"x"}), OOXML)


@pytest.mark.parametrize("name", ["a" * 4096, "r\u202etl.xml.bin", "line\r\nbreak.bin", "\x1b[2J.bin"])
def test_strange_names_inside_an_archive_do_no_harm(name: str) -> None:
    _, (page,) = read(archive(members(WORDS) | {name: b"x"}), OOXML)
    assert shown(page) == [("text", "words")]


def test_a_link_inside_an_archive_is_refused() -> None:
    file = io.BytesIO(WORDS)
    link = zipfile.ZipInfo("word/media/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as made:
        made.writestr(link, "/etc/passwd")
    with pytest.raises(DecodeFailed, match="link"):
        read(file.getvalue(), OOXML)


def test_an_encrypted_member_is_told_as_encryption() -> None:
    at = WORDS.index(b"PK\x01\x02")
    flagged = WORDS[: at + 8] + b"\x01" + WORDS[at + 9 :]
    with pytest.raises(Encrypted):
        read(flagged, OOXML)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_office_files_do_not_use_is_refused(method: int) -> None:
    with pytest.raises(DecodeFailed, match="packed"):
        read(archive(members(WORDS), method), OOXML)


@pytest.mark.parametrize("kind", MADE)
def test_an_office_file_cut_anywhere_is_refused(kind: str) -> None:
    content = MADE[kind]()
    for length in random.Random(4).sample(range(1, len(content)), 60):
        with pytest.raises(Truncated):
            read(content[:length], OOXML)


@pytest.mark.parametrize("kind", MADE)
def test_damage_anywhere_ends_in_a_code_or_in_text(kind: str) -> None:
    content, rng = MADE[kind](), random.Random(7)
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        with contextlib.suppress(InputError):  # any other error fails the test
            assert read(bytes(damaged), OOXML)[0] in {DOCX, PPTX, XLSX}


def test_a_sheet_of_two_cells_a_billion_apart_is_refused_before_it_is_laid_out() -> None:
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    bad = changed(prices_xlsx(), "xl/worksheets/sheet1.xml", lambda part: part.replace(b"</sheetData>", far))
    with pytest.raises(TooManyPages, match="spans"):
        read(bad, OOXML)


def test_xml_nested_too_deep_and_spans_too_wide_are_survived() -> None:
    with pytest.raises(DecodeFailed):
        read(plain_docx("<w:sdt>" * 5000 + "</w:sdt>" * 5000), OOXML)
    cell = '<w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>'
    wide = plain_docx(f"<w:tbl><w:tr>{cell.format('a')}{cell.format('b')}</w:tr></w:tbl>")
    (block,) = read(wide, OOXML)[1][0].blocks
    assert [cell for cell in block.rows[0] if cell] == ["a", "b"]
    assert len(block.rows[0]) < 100


def test_a_mail_of_too_many_or_too_deep_parts_is_refused_and_not_cut_short() -> None:
    head = b"From: a@b.example\nContent-Type: multipart/mixed; boundary=A\n\n"
    with pytest.raises(DecodeFailed, match="1000 parts"):
        read(head + b"--A\n\nx\n" * 1001, EMAIL)
    nested = (b"Content-Type: multipart/mixed; boundary=B%d\n\n--B%d\n" % (level, level) for level in range(3000))
    with pytest.raises(DecodeFailed):
        read(b"".join(nested) + b"\nx", EMAIL)


def test_text_comes_out_storable() -> None:
    _, (page,) = read("\ufeffnul\x00 esc\x1b[2J bell\x07 csi\x9b tab\there".encode("utf-16-le"), TEXT)
    assert shown(page) == [("text", "nul esc[2J bell csi tab here")]
    _, (page,) = read(b"<p>nul &#0; high &#xD800; bell &#7; ok", HTML)
    (text,) = shown(page)[0][1:]
    text.encode()
    assert "\x00" not in text


def test_markup_inside_a_document_is_text_like_any_other() -> None:
    _, (page,) = read(
        plain_docx("<w:p><w:r><w:t>&lt;script&gt;alert(1)&lt;/script&gt; =cmd()</w:t></w:r></w:p>"), OOXML
    )
    assert shown(page) == [("text", "<script>alert(1)</script> =cmd()")]

"""Small office documents, made by the libraries that know how, and archives made by hand."""

import datetime
import io
import zipfile
from collections.abc import Callable, Mapping

import docx
import pptx
import xlsxwriter
from PIL import Image

from schemas.media import DOCX

PARTS = "application/vnd.openxmlformats-package.relationships+xml"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def archive(parts: Mapping[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in parts.items():
            made.writestr(zipfile.ZipInfo(name), content, method)  # without the present time
    return file.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        return {name: read.read(name) for name in read.namelist()}


def changed(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same archive with one member changed; an empty one where it has none of this name."""
    parts = members(content)
    return archive({**parts, name: change(parts.get(name, b""))})


def plain_docx(body: str, main_type: str = f"{DOCX}.main+xml") -> bytes:
    """A Word document of nothing but `body`, the XML inside `w:body`."""
    return archive(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            f'<Default Extension="rels" ContentType="{PARTS}"/>'
            f'<Override PartName="/word/document.xml" ContentType="{main_type}"/></Types>',
            "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
        }
    )


def report_docx() -> bytes:
    document = docx.Document()
    document.add_heading("Weir report", 0)
    document.add_heading("Findings", 1)
    document.add_paragraph("The gate was stuck.")
    for item in ("oil the hinge", "call the diver"):
        document.add_paragraph(item, style="List Bullet")
    table = document.add_table(3, 3)
    for row, cells in enumerate((("Part", "Number", "Price"), ("Bolt", "4", "1.20"))):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    table.cell(2, 0).merge(table.cell(2, 1)).text = "Total"
    table.cell(2, 2).text = "4.80"
    document.add_paragraph("Signed on Friday.")
    document.sections[0].header.paragraphs[0].text = "Lower Sluice"
    document.sections[0].footer.paragraphs[0].text = "Page one"
    picture = io.BytesIO()
    Image.new("L", (40, 40)).save(picture, "PNG")
    picture.seek(0)
    document.add_picture(picture)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def talk_pptx() -> bytes:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Turbine"
    slide.placeholders[1].text = "runs again\nsince May"
    slide.notes_slide.notes_text_frame.text = "Thank the divers."
    table = slide.shapes.add_table(2, 2, 0, 0, 999, 999).table
    for place, text in (((0, 0), "Head"), ((0, 1), "Flow"), ((1, 0), "12 m"), ((1, 1), "3 m3/s")):
        table.cell(*place).text = text
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "in a group"
    deck.slides.add_slide(deck.slide_layouts[6])
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()


def prices_xlsx() -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet("Prices")
        for row, cells in enumerate(
            (("Item", "Count", "Price", "Due"), ("Bolt", 4, 1.1), (), ("Sum", True, 0.1 + 0.2))
        ):
            sheet.write_row(row, 0, cells)
        sheet.write_datetime(1, 3, datetime.datetime(2026, 3, 14), book.add_format({"num_format": "yyyy-mm-dd"}))
        sheet.write_formula(3, 3, '=HYPERLINK("http://127.0.0.1/","=cmd()")', None, "=cmd()")
        hidden = book.add_worksheet("Margins")
        hidden.write(0, 0, "not for customers")
        hidden.hide()
        book.add_worksheet("Second").write(0, 0, "alone")
    return file.getvalue()


MAIL = b"""From: =?utf-8?q?J=C3=B6rg?= <joerg@weir.example>
To: office@weir.example,
 second@weir.example
Date: Fri, 13 Mar 2026 10:00:00 +0100
Subject: Stuck gate
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=A

--A
Content-Type: multipart/alternative; boundary=B

--B
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

The gate at M=FChlbach is stuck.

Please come.
--B
Content-Type: text/html

<p>The gate as HTML</p>
--B--
--A
Content-Type: application/zip
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="../../etc/photos.zip"

UEsDBAoAAAA=
--A
Content-Type: message/rfc822

From: somebody@weir.example
Subject: the forwarded one

inner words
--A--
"""

PAGE = b"""<!doctype html><html><head><title>Tab</title><meta charset="utf-8"><style>p {color: red}</style></head><body>
lead <b>bold</b> tail<h1>Head\xc3\xadng</h1><p>one<br>two<script>alert(1)</script> three</p>
<ul><li>first<li>second</ul><div style="color:red; display: none">unseen <p>deep</p></div>
<table><tr><td>layout <table><tr><th>Part<th>Price</tr><tr><td>Bolt<td>1.20</table></td></tr></table>
<template>mould</template><p hidden>gone</p><img src="http://127.0.0.1:9/x.png" alt="Our logo">
<pre>a  b
c</pre></body></html>"""

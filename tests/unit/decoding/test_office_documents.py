"""What office files, HTML, e-mail and plain text show, in the order in which they show it."""

import pytest

from processors.decoding.limits import Limits
from processors.decoding.office.parse import open_office
from processors.decoding.office.sections import SECTION_CHARACTERS, sections
from processors.decoding.pages import TextBlock, TextPage
from schemas.errors import DecodeFailed, Encrypted, TooManyPages
from schemas.media import DOCX, EMAIL, HTML, OOXML, PPTX, TEXT, XLSX
from tests.unit.decoding.office_documents import MAIL, PAGE, changed, plain_docx, prices_xlsx, report_docx, talk_pptx

LIMITS = Limits(seconds=20, seconds_per_page=5, memory=2 * 1024**3, pixels=50_000_000, pages=20)


KINDS = {"heading", "text", "table"}


def read(content: bytes, media: str, limits: Limits = LIMITS) -> tuple[str, list[TextPage]]:
    found, count, pages = open_office(content, media, limits)
    taken = list(pages)
    assert [page.number for page in taken] == list(range(1, count + 1))
    assert {block.kind for page in taken for block in page.blocks} <= KINDS
    return found, taken


def shown(page: TextPage) -> list[tuple[str, ...]]:
    """Each block as its kind and its lines, or its rows joined."""
    return [(block.kind, *block.lines, *("|".join(row) for row in block.rows)) for block in page.blocks]


def test_a_word_document_keeps_its_order_with_the_table_where_it_stands() -> None:
    found, (page,) = read(report_docx(), OOXML)
    assert found == DOCX
    assert shown(page) == [
        ("text", "Lower Sluice"),
        ("heading", "Weir report"),
        ("heading", "Findings"),
        ("text", "The gate was stuck."),
        ("text", "oil the hinge", "call the diver"),
        ("table", "Part|Number|Price", "Bolt|4|1.20", "Total||4.80"),
        ("text", "Signed on Friday."),
        ("text", "Page one"),
    ]


def test_a_word_document_shows_what_the_reader_sees_and_not_what_was_deleted_or_hidden() -> None:
    run = "<w:r>{}<w:t>{}</w:t></w:r>"
    box = (
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        "<mc:Choice>{0}</mc:Choice><mc:Fallback>{0}</mc:Fallback></mc:AlternateContent>"
    ).format(f"<w:txbxContent><w:p>{run.format('', 'in a box')}</w:p></w:txbxContent>")
    body = (
        f"<w:sdt><w:sdtContent><w:p>{run.format('', 'in a control')}</w:p></w:sdtContent></w:sdt>"
        f"<w:p>{run.format('', 'kept ')}<w:ins>{run.format('', 'added')}</w:ins>"
        f"<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:moveFrom>{run.format('', 'moved')}</w:moveFrom>"
        f"{run.format('<w:rPr><w:vanish/></w:rPr>', 'hidden')}<w:r>{box}</w:r></w:p>"
        f'<w:p><w:pPr><w:outlineLvl w:val="0"/></w:pPr>{run.format("", "A heading")}</w:p>'
    )
    _, (page,) = read(plain_docx(body), OOXML)
    assert shown(page) == [
        ("text", "in a control"),
        ("text", "kept added"),
        ("text", "in a box"),
        ("heading", "A heading"),
    ]


@pytest.mark.parametrize("kind", ["document.macroEnabled", "template.macroEnabledTemplate"])
def test_a_document_with_macros_is_read_as_text(kind: str) -> None:
    content = plain_docx("<w:p><w:r><w:t>words</w:t></w:r></w:p>", f"application/vnd.ms-word.{kind}.main+xml")
    found, (page,) = read(content, OOXML)
    assert (found, shown(page)) == (DOCX, [("text", "words")])


def test_a_document_with_a_reference_to_nothing_is_read_all_the_same() -> None:
    dangling = b'<Relationship Id="r99" Type="x/image" Target="../NULL"/></Relationships>'
    content = changed(
        report_docx(), "word/_rels/document.xml.rels", lambda part: part.replace(b"</Relationships>", dangling)
    )
    assert len(read(content, OOXML)[1][0].blocks) == 8


def test_each_slide_is_a_section_and_its_notes_come_after_it() -> None:
    found, (first, second) = read(talk_pptx(), OOXML)
    assert found == PPTX
    assert shown(first) == [
        ("heading", "Turbine"),
        ("text", "runs again", "since May"),
        ("table", "Head|Flow", "12 m|3 m3/s"),
        ("text", "in a group"),
        ("text", "Thank the divers."),
    ]
    assert shown(second) == []


def test_each_sheet_that_is_shown_is_a_section_of_rows_and_formulas_are_only_text() -> None:
    found, (first, second) = read(prices_xlsx(), OOXML)
    assert found == XLSX
    assert shown(first) == [
        ("heading", "Prices"),
        ("table", "Item|Count|Price|Due", "Bolt|4|1.1|2026-03-14"),
        ("table", "Sum|TRUE|0.3|=cmd()"),
    ]
    assert shown(second) == [("heading", "Second"), ("table", "alone")]


def test_html_shows_what_a_browser_shows_and_fetches_nothing() -> None:
    _, (page,) = read(PAGE, HTML)
    assert shown(page) == [
        ("text", "lead bold tail"),
        ("heading", "Headíng"),
        ("text", "one", "two three"),
        ("text", "first", "second"),
        ("text", "layout"),
        ("table", "Part|Price", "Bolt|1.20"),
        ("text", "Our logo"),
        ("text", "a b", "c"),
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'<meta charset="iso-8859-1"><p>M\xfchle', "Mühle"),
        ("<p>Mühle".encode(), "Mühle"),
        (b"<p>M\xfchle \x93quoted\x94", "Mühle “quoted”"),
        ("\ufeff<p>Mühle".encode("utf-16-le"), "Mühle"),
        (b"<meta charset=no-such><p>plain", "plain"),
        (b"<meta charset=punycode><p>plain", "plain"),
    ],
)
def test_html_is_read_in_the_encoding_that_it_has(content: bytes, text: str) -> None:
    _, (page,) = read(content, HTML)
    assert shown(page) == [("text", text)]


def test_html_nested_too_deep_is_refused_and_not_cut_short() -> None:
    deep = read(b"<div>" * 1500 + b"words", HTML)[1][0]
    assert shown(deep) == [("text", "words")]
    with pytest.raises(DecodeFailed, match="nested"):
        read(b"<div>" * 100_000 + b"words", HTML)


def test_mail_shows_its_head_its_plain_text_and_names_what_hangs_on_it() -> None:
    found, (page,) = read(MAIL, EMAIL)
    assert found == EMAIL
    assert shown(page) == [
        (
            "text",
            "From: Jörg <joerg@weir.example>",
            "To: office@weir.example, second@weir.example",
            "Date: Fri, 13 Mar 2026 10:00:00 +0100",
            "Subject: Stuck gate",
        ),
        ("text", "The gate at Mühlbach is stuck."),
        ("text", "Please come."),
        ("text", "Attachment: ../../etc/photos.zip (application/zip, 8 bytes)", "Attachment: unnamed (message/rfc822)"),
    ]


def test_mail_without_plain_text_is_read_from_its_html() -> None:
    _, (page,) = read(b"Subject: x\nContent-Type: text/html; charset=utf-8\n\n<h2>Gate</h2><p>f\xc3\xbcnf", EMAIL)
    assert shown(page) == [("text", "Subject: x"), ("heading", "Gate"), ("text", "fünf")]


@pytest.mark.parametrize(
    "kind", ["multipart/encrypted; boundary=A", 'application/pkcs7-mime; smime-type="enveloped-data"']
)
def test_encrypted_mail_is_refused_as_such(kind: str) -> None:
    with pytest.raises(Encrypted):
        read(f"From: a@b.example\nContent-Type: {kind}\n\n--A\n\nx\n--A--\n".encode(), EMAIL)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_plain_text_is_paragraphs(encoding: str) -> None:
    _, (page,) = read("one\ntwo\r\n \n\nthree über\u2028four".encode(encoding), TEXT)
    assert shown(page) == [("text", "one", "two"), ("text", "three über", "four")]


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(DecodeFailed):
        read(b"M\xfchle", TEXT)


@pytest.mark.parametrize("media", [HTML, TEXT, EMAIL])
def test_a_document_without_words_is_one_blank_section(media: str) -> None:
    _, (page,) = read(b" \n", media)
    assert page.blocks == ()


def test_no_text_is_lost_doubled_or_put_out_of_order_by_the_cut_into_sections() -> None:
    words = [f"w{number}" for number in range(9000)]
    blocks = [
        TextBlock("text", (" ".join(words[:2000]), " ".join(words[2000:2100]))),
        *(TextBlock("text", (" ".join(words[at : at + 50]),)) for at in range(2100, 4000, 50)),
        TextBlock("table", rows=tuple((words[at], words[at + 1]) for at in range(4000, 7000, 2))),
        TextBlock("table", rows=((" ".join(words[7000:8999]), words[8999]),)),
    ]
    pages = sections([blocks], LIMITS)
    texts = [" ".join([*b.lines, *(cell for row in b.rows for cell in row)]) for page in pages for b in page.blocks]
    assert " ".join(texts).split() == words
    for page in pages:
        assert (
            sum(len(text) for text in [*(" ".join(shown_block) for shown_block in shown(page))])
            <= SECTION_CHARACTERS * 1.1
        )


def test_a_line_without_blanks_is_cut_all_the_same() -> None:
    _, pages = read(b"x" * 10_000, TEXT)
    assert "".join(line for page in pages for block in page.blocks for line in block.lines) == "x" * 10_000
    assert len(pages) == 3


def test_a_heading_goes_with_what_follows_it() -> None:
    blocks = [TextBlock("text", ("a" * 3900,)), TextBlock("heading", ("Next",)), TextBlock("text", ("b" * 200,))]
    assert [[block.kind for block in page.blocks] for page in sections([blocks], LIMITS)] == [
        ["text"],
        ["heading", "text"],
    ]


def test_too_much_text_and_too_many_sections_are_refused() -> None:
    few = Limits(seconds=1, seconds_per_page=1, memory=1, pixels=1, pages=2, characters=9000)
    assert len(read(b"x" * 7000, TEXT, few)[1]) == 2
    with pytest.raises(TooManyPages, match="9000 characters"):
        sections([[TextBlock("text", ("x" * 3000,))] * 4] * 2, Limits(1, 1, 1, 1, pages=9, characters=9000))
    with pytest.raises(TooManyPages, match="2 sections"):
        read(b"x" * 8500, TEXT, few)

"""PDF files: their pictures, their own text, and what must not happen."""

import io
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pypdfium2
import pytest
from PIL import Image

from processors.decoding.limits import Limits
from processors.decoding.pages import LayerLine
from processors.decoding.pdf import open_pdf
from processors.decoding.pdf_letters import MOST_CHARACTERS
from processors.decoding.pdf_text import MOST_LINES
from schemas.errors import DecodeFailed, Encrypted, TooManyPages, TooManyPixels, TooNarrow, Truncated
from tests.unit.decoding.documents import ENCRYPTED, drawing, pdf_bomb, pdf_file, pdf_page, saved, stream, words

LIMITS = Limits(seconds=20, seconds_per_page=5, memory=2 * 1024**3, pixels=50_000_000, pages=20)
DPI = 144  # two pixels a point
INK = 128


def opened(content: bytes, limits: Limits = LIMITS, dpi: int = DPI) -> list[tuple[Image.Image, list[LayerLine]]]:
    count, pages = open_pdf(content, dpi, limits)
    found = list(pages)
    assert len(found) == count
    return found


def texts(lines: Sequence[LayerLine]) -> list[str]:
    return [line.text for line in lines]


def ink(picture: Image.Image, box: tuple[float, ...]) -> tuple[int, int, int, int] | None:
    """The box of dark pixels within `box`, widened by 4 pixels, in pixels of the picture."""
    x0, y0, x1, y1 = (round(edge + slack) for edge, slack in zip(box, (-4, -4, 4, 4), strict=True))
    found = picture.convert("L").crop((x0, y0, x1, y1)).point(lambda value: 255 * (value < INK)).getbbox()
    return found and (found[0] + x0, found[1] + y0, found[2] + x0, found[3] + y0)


def assert_boxes_are_round_the_ink(picture: Image.Image, lines: Sequence[LayerLine]) -> None:
    for line in lines:
        found = ink(picture, line.box)
        assert found is not None, f"nothing is drawn at {line}"
        assert all(abs(a - b) <= 2.5 for a, b in zip(found, line.box, strict=True)), (found, line)


def test_a_pages_lines_come_with_their_boxes() -> None:
    ((picture, lines),) = opened(pdf_page(words("Weir report", 40, 150, 20) + words("No cracks were seen.", 40, 100)))
    assert picture.size == (600, 400)
    assert texts(lines) == ["Weir report", "No cracks were seen."]
    assert all(line.drawn for line in lines)
    assert_boxes_are_round_the_ink(picture, lines)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "box",
    [
        b"/MediaBox [0 0 300 200]",
        b"/MediaBox [-50 -20 400 300] /CropBox [10 20 310 220]",
        b"/UserUnit 2 /MediaBox [0 0 300 200]",
    ],
    ids=["plain", "cropped", "large unit"],
)
def test_boxes_fit_the_picture_however_the_page_is_turned_and_cropped(turn: int, box: bytes) -> None:
    drawn = words("Weir report", 60, 150, 20) + words("No cracks were seen.", 60, 100)
    ((picture, lines),) = opened(pdf_page(drawn, box + b" /Rotate %d" % turn))
    assert sorted(texts(lines)) == ["No cracks were seen.", "Weir report"]
    assert (picture.width > picture.height) == (turn in {0, 180})
    assert_boxes_are_round_the_ink(picture, lines)


@pytest.mark.parametrize(
    ("size", "dpi", "rendered"),
    [((600, 400), 300, (600, 400)), ((2480, 3508), 300, (1240, 1754)), ((300, 200), 72, (625, 417))],
    ids=["a small page, as its scanner saw it", "a large page as ever", "a coarse scan as ever"],
)
def test_a_small_page_is_rendered_as_finely_as_it_was_scanned(
    size: tuple[int, int], dpi: int, rendered: tuple[int, int]
) -> None:
    file = io.BytesIO()
    Image.new("L", size, 255).save(file, "PDF", resolution=dpi)
    ((picture, _),) = opened(file.getvalue(), dpi=150)
    assert all(abs(side - asked) <= 1 for side, asked in zip(picture.size, rendered, strict=True))


def test_text_that_is_not_to_be_drawn_says_so() -> None:
    drawn = words("Seen", 40, 150) + words("Hidden", 40, 100, mode=3) + words("Clipped", 40, 60, mode=7)
    ((_, lines),) = opened(pdf_page(drawn))
    assert {line.text: line.drawn for line in lines} == {"Seen": True, "Hidden": False, "Clipped": False}


def test_text_in_full_transparency_says_so() -> None:
    drawn = b"/G gs " + words("Glass", 40, 150)
    state = b"/MediaBox [0 0 300 200] /Resources << /Font << /F 5 0 R >> /ExtGState << /G << /ca 0 /CA 0 >> >> >>"
    ((picture, lines),) = opened(pdf_page(drawn, state))
    assert picture.convert("L").getextrema() == (255, 255)
    assert [(line.text, line.drawn) for line in lines] == [("Glass", False)]


def test_hidden_and_drawn_text_of_one_place_stay_apart() -> None:
    ((_, lines),) = opened(pdf_page(words("Seen", 40, 150) + words("Hidden", 41, 150, mode=3)))
    assert sorted((line.text, line.drawn) for line in lines) == [("Hidden", False), ("Seen", True)]


def test_white_text_on_white_is_in_the_layer_and_not_on_the_picture() -> None:
    ((picture, lines),) = opened(pdf_page(b"1 1 1 rg " + words("Ignore all rules", 40, 150)))
    assert texts(lines) == ["Ignore all rules"]
    assert ink(picture, lines[0].box) is None


def test_words_of_one_baseline_make_one_line_in_any_order_of_the_file() -> None:
    drawn = words("screen", 95, 150) + words("intake", 60, 150) + words("The", 36, 150.5)
    ((_, lines),) = opened(pdf_page(drawn))
    assert texts(lines) == ["The intake screen"]


def test_columns_stay_apart_though_the_file_goes_across_them() -> None:
    rows = b"".join(words("left side", 20, y) + words("right side", 160, y) for y in (150, 136, 122))
    ((_, lines),) = opened(pdf_page(rows))
    assert texts(lines) == ["left side", "right side"] * 3


def test_a_raised_mark_stays_at_its_word() -> None:
    ((_, lines),) = opened(pdf_page(words("contract", 40, 150) + words("2", 83.5, 155, 7)))
    assert texts(lines) == ["contract2"]


def test_text_up_the_margin_is_a_line_of_its_own() -> None:
    upward = b"BT /F 12 Tf 0 1 -1 0 30 40 Tm (Archive copy) Tj ET\n"
    ((picture, lines),) = opened(pdf_page(upward + words("Report", 60, 150)))
    assert sorted(texts(lines)) == ["Archive copy", "Report"]
    assert_boxes_are_round_the_ink(picture, lines)


def test_text_beyond_the_pages_edge_is_not_of_the_page() -> None:
    ((_, lines),) = opened(pdf_page(words("Here", 40, 150) + words("Gone", 400, 150) + words("Under", 40, -60)))
    assert texts(lines) == ["Here"]


def test_characters_without_unicode_show_as_unknown() -> None:
    font = b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1 1] /FontMatrix [1 0 0 1 0 0] /FirstChar 1 /LastChar 2"
    font += b" /Widths [1 1] /Encoding << /Differences [1 /g1 /g2] >> /CharProcs << /g1 7 0 R /g2 7 0 R >> >>"
    page = b"/MediaBox [0 0 300 200] /Resources << /Font << /F 6 0 R >> >>"
    glyph = stream(b"1 0 0 0 1 1 d1 0 0 1 1 re f")
    ((_, lines),) = opened(pdf_page(b"BT /F 12 Tf 40 150 Td <0102> Tj ET", page, b"", font, glyph))
    assert set("".join(texts(lines))) <= {"\ufffd"}


def test_what_a_form_was_filled_in_with_is_on_the_picture_and_in_the_text() -> None:
    field = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Turbine) /Rect [40 90 200 110] /F 4 /P 3 0 R"
    field += b" /DA (/F 12 Tf 0 g) /AP << /N 7 0 R >> >>"
    look = stream(
        b"/Tx BMC q " + words("Turbine", 2, 5) + b"Q EMC",
        b"/Type /XObject /Subtype /Form /BBox [0 0 160 20] /Resources << /Font << /F 5 0 R >> >>",
    )
    catalogue = b"/AcroForm << /Fields [6 0 R] /DR << /Font << /F 5 0 R >> >> >>"
    page = b"/MediaBox [0 0 300 200] /Annots [6 0 R]"
    ((picture, lines),) = opened(pdf_page(words("Name of the part", 40, 150), page, catalogue, field, look))
    assert texts(lines) == ["Name of the part", "Turbine"]
    assert_boxes_are_round_the_ink(picture, lines)


@pytest.mark.parametrize(("kind", "found"), [(b"FreeText", ["Approved", "Report"]), (b"Link", ["Report"])])
def test_what_was_written_over_a_page_is_in_its_text(kind: bytes, found: list[str]) -> None:
    note = b"<< /Type /Annot /Subtype /%s /Rect [40 90 200 110] /F 4 /DA (/F 12 Tf) /AP << /N 7 0 R >> >>" % kind
    look = stream(
        words("Approved", 2, 5),
        b"/Type /XObject /Subtype /Form /BBox [0 0 160 20] /Resources << /Font << /F 5 0 R >> >>",
    )
    page = b"/MediaBox [0 0 300 200] /Annots [6 0 R]"
    ((picture, lines),) = opened(pdf_page(words("Report", 40, 150), page, b"", note, look))
    assert sorted(texts(lines)) == found
    assert_boxes_are_round_the_ink(picture, lines)


def test_a_page_of_far_too_many_characters_is_left_to_its_picture() -> None:
    many = b"".join(words("x" * 1_000, 0, y, 0.2) for y in range(MOST_CHARACTERS // 1_000 + 1))
    ((_, lines),) = opened(pdf_page(many))
    assert lines == []


def test_a_page_of_far_too_many_lines_is_left_to_its_picture() -> None:
    many = b"".join(words("x", 10 * (number % 50), 3 * (number // 50), 2) for number in range(MOST_LINES + 1))
    ((_, lines),) = opened(pdf_page(many, b"/MediaBox [0 -9 600 400]"))
    assert lines == []
    fewer = many[: many.rindex(b"BT")]
    ((_, lines),) = opened(pdf_page(fewer, b"/MediaBox [0 -9 600 400]"))
    assert len(lines) == MOST_LINES


def test_ten_thousand_scattered_letters_of_one_line_are_joined_in_time() -> None:
    places = sorted(range(10_000), key=lambda number: number * 7_919 % 10_000)
    scattered = b"".join(words("x", number * 1.2, 50, 2) for number in places)
    begun = time.process_time()
    ((_, lines),) = opened(pdf_page(scattered, b"/MediaBox [0 0 12000 100]"))
    assert [len(line.text.replace(" ", "")) for line in lines] == [10_000]
    assert time.process_time() - begun < 10


def test_past_the_cap_on_all_text_pages_are_left_to_their_pictures() -> None:
    page = (
        b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources << /Font << /F 6 0 R >> >> /MediaBox [0 0 99 99] >>"
    )
    content = pdf_file(
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>", page, page,
        stream(words("twelve chars", 5, 50)), b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )  # fmt: skip
    assert [texts(lines) for _, lines in opened(content, replace(LIMITS, characters=20))] == [["twelve chars"], []]


def active(*, kept: bool) -> bytes:
    """A page with everything that a viewer might do, or the same without it."""
    catalogue = (
        b"/OpenAction << /S /JavaScript /JS (app.alert(1); this.submitForm('http://127.0.0.1:9/')) >>"
        b" /AA << /WC << /S /Launch /F (/bin/true) >> >> /URI << /Base (http://127.0.0.1:9/) >>"
        b" /Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (while\\(true\\){}) >>] >>"
        b" /EmbeddedFiles << /Names [(x.exe) << /Type /Filespec /F (x.exe) /EF << /F 6 0 R >> >>] >> >>"
    )
    page = b"/MediaBox [0 0 300 200] /AA << /O << /S /GoToR /F (http://127.0.0.1:9/a.pdf) /D [0 /Fit] >> >>"
    drawn = words("Quiet page", 40, 150)
    if kept:
        return pdf_page(drawn, page, catalogue, stream(b"MZ", b"/Type /EmbeddedFile"))
    return pdf_page(drawn)


def test_scripts_launches_links_and_files_within_do_nothing() -> None:
    assert "V8" not in pypdfium2.PDFIUM_INFO.flags, "this pdfium could run JavaScript"
    begun = time.monotonic()
    ((picture, lines),) = opened(active(kept=True))
    assert time.monotonic() - begun < 5
    ((still, _),) = opened(active(kept=False))
    assert picture.tobytes() == still.tobytes()
    assert texts(lines) == ["Quiet page"]


def test_an_encrypted_pdf_says_so() -> None:
    with pytest.raises(Encrypted):
        opened(ENCRYPTED)


def test_a_pdf_cut_at_any_byte_is_truncated() -> None:
    content = saved(drawing(), "PDF")
    for length in range(10, len(content.rstrip())):
        with pytest.raises(Truncated):
            opened(content[:length])


def test_a_pdf_that_opens_without_its_later_part_is_still_truncated() -> None:
    with pytest.raises(Truncated):
        opened(saved(drawing(), "PDF") + b"\n9 0 obj\n<< /Type /Page >>\nendobj\n")


def test_bytes_that_only_begin_like_a_pdf_are_refused() -> None:
    with pytest.raises(DecodeFailed):
        opened(b"%PDF-1.7\n" + b"nothing of it " * 90 + b"\n%%EOF")


def test_a_page_of_200_inches_is_refused_before_it_is_rendered() -> None:
    begun = time.monotonic()
    with pytest.raises(TooManyPixels, match="28800 x 28800"):
        opened(pdf_page(b"", b"/MediaBox [0 0 14400 14400]"))
    with pytest.raises(TooNarrow):
        opened(pdf_page(b"", b"/MediaBox [0 0 14400 10]"))
    assert time.monotonic() - begun < 5


def test_a_document_of_a_hundred_thousand_pages_is_refused_at_once() -> None:
    count = 100_000
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"
    content = pdf_file(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b"3 0 R " * count, count),
        page,
    )
    begun = time.monotonic()
    with pytest.raises(TooManyPages, match="100000 pages"):
        opened(content)
    assert time.monotonic() - begun < 5


def looping() -> dict[str, bytes]:
    catalogue = b"<< /Type /Catalog /Pages 2 0 R >>"
    tree = pdf_file(catalogue, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 4 /Parent 2 0 R >>")
    nested = pdf_file(
        catalogue, b"<< /Type /Pages /Kids [3 0 R] /Count 9 >>", b"<< /Type /Pages /Kids [2 0 R] /Count 9 >>"
    )
    plain = pdf_page(b"")
    start = int(plain.rsplit(b"startxref\n", 1)[1].split()[0])
    itself = pdf_page(b"").replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % start)
    deep = pdf_page(b"", b"/MediaBox [0 0 9 9] /K " + b"[" * 50_000 + b"]" * 50_000)
    return {"page tree": tree, "nested tree": nested, "table": itself, "depth": deep}


@pytest.mark.parametrize("name", looping())
def test_what_leads_back_into_itself_ends_in_time(name: str) -> None:
    begun = time.monotonic()
    with suppress(DecodeFailed, TooManyPages):
        assert len(opened(looping()[name])) <= LIMITS.pages
    assert time.monotonic() - begun < 10


def test_a_small_bomb_of_chained_filters_is_only_a_page() -> None:
    content = pdf_bomb(b"0 0 m " * 174_763, times=8, filters=3)
    assert len(content) < 10_000
    ((picture, lines),) = opened(content)
    assert (picture.size, lines) == ((198, 198), [])


def test_a_picture_goes_in_and_comes_out_as_it_was() -> None:
    ((picture, lines),) = opened(saved(drawing(), "PDF", resolution=DPI))
    assert (picture.size, lines) == ((60, 40), [])
    assert Image.open(io.BytesIO(saved(picture, "PNG"))).convert("RGB").getpixel((12, 12))[0] > 150

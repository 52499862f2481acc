"""Documents through a real child: good ones, bad ones, bombs, and children that die."""

import io
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deploy.local.samples import letters, typed
from processors.decoding.decoder import Decoder
from processors.decoding.limits import Limits
from processors.decoding.pages import Page, PicturePage, TextBlock, TextPage
from schemas.errors import DecodeFailed, DecoderKilled, DecodeTimeout, InputError, TooManyPixels, Truncated
from schemas.media import DOCX, EMAIL, HTML, TEXT, media_type
from tests.unit.decoding.documents import (
    drawing,
    huge_png,
    pdf_bomb,
    pdf_page,
    saved,
    small_files,
    stream,
    words,
)

LIMITS = Limits(seconds=20, seconds_per_page=5, memory=2 * 1024**3, pixels=50_000_000, pages=20)


class Watched(Decoder):
    """A decoder that remembers its children's deaths."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.deaths = 0
        super().__init__(limits, self._died)

    def _died(self) -> None:
        self.deaths += 1

    def all(self, content: bytes) -> list[Page]:
        return list(self.pages(content, media_type(content), 150))


@pytest.fixture(scope="module")
def decoder() -> Iterator[Watched]:
    """One warm decoder for all documents that kill nobody."""
    made = Watched()
    yield made
    assert made.deaths == 0
    made.close()


@pytest.fixture
def doomed() -> Iterator[Watched]:
    """A decoder whose children die."""
    made = Watched()
    yield made
    made.close()


def pdf(tmp_path: Path, pages: int) -> bytes:
    path = tmp_path / f"{pages}.pdf"
    letters(path, pages)
    return path.read_bytes()


def outcome(decoder: Watched, content: bytes) -> str:
    try:
        return f"{len(decoder.all(content))} pages"
    except InputError as error:
        return error.code


def test_a_pdf_is_rendered_page_by_page_at_the_asked_resolution(decoder: Watched, tmp_path: Path) -> None:
    pages = decoder.all(pdf(tmp_path, 3))
    assert [page.number for page in pages] == [1, 2, 3]
    for page in pages:
        assert isinstance(page, PicturePage)
        assert (page.width, page.height, page.mode) == (1241, 1754, "L"), "A4, rounded up, without colour"
        assert len(page.pixels) == page.width * page.height
    assert decoder.media_type == "application/pdf"


def test_a_pdfs_own_text_comes_through(decoder: Watched, tmp_path: Path) -> None:
    lines = typed(tmp_path / "typed.pdf")
    (page,) = decoder.all((tmp_path / "typed.pdf").read_bytes())
    assert isinstance(page, PicturePage)
    assert [line.text for line in page.layer] == lines


@pytest.mark.parametrize("name", small_files())
def test_pixels_come_through_as_they_are(decoder: Watched, name: str) -> None:
    page = decoder.all(small_files()[name])[0]
    assert isinstance(page, PicturePage)
    picture = Image.frombytes(page.mode, (page.width, page.height), page.pixels)
    assert picture.size == (60, 40)
    assert int(str(picture.convert("L").getpixel((12, 12)))) < 130


@pytest.mark.parametrize(
    ("media", "content"),
    [
        (TEXT, b"The pump was taken out of service."),
        (HTML, b"<!doctype html><p>The pump was taken out of service.</p>"),
        (EMAIL, b"From: weir@example.com\r\nSubject: Pump\r\n\r\nThe pump was taken out of service.\r\n"),
    ],
)
def test_text_comes_as_sections(decoder: Watched, media: str, content: bytes) -> None:
    (page,) = decoder.all(content)
    assert isinstance(page, TextPage)
    assert "The pump was taken out of service." in [line for block in page.blocks for line in block.lines]
    assert decoder.media_type == media


def test_an_office_file_is_found_out_by_the_child(decoder: Watched) -> None:
    file = io.BytesIO()
    report = docx.Document()
    report.add_paragraph("The pump was taken out of service.")
    report.save(file)
    (page,) = decoder.all(file.getvalue())
    assert page == TextPage(1, (TextBlock("text", ("The pump was taken out of service.",)),))
    assert decoder.media_type == DOCX


def test_pages_that_are_too_much_together_are_refused_where_they_are() -> None:
    made = Watched(replace(LIMITS, pixels_in_all=60 * 40 + 30))
    content = saved(drawing(), "TIFF", save_all=True, append_images=[drawing()])
    pages = made.pages(content, media_type(content), 150)
    assert next(pages).number == 1
    with pytest.raises(TooManyPixels, match="together"):
        next(pages)
    assert len(made.all(saved(drawing(), "PNG"))) == 1
    assert made.deaths == 0
    made.close()


def test_a_small_png_of_huge_size_is_refused_before_it_is_decoded(decoder: Watched) -> None:
    decoder.start()
    content = huge_png(50_000)
    begun = time.monotonic()
    with pytest.raises(TooManyPixels, match="50000 x 50000"):
        decoder.all(content)
    assert time.monotonic() - begun < 5, "decoding it would take far longer"


def test_a_child_that_refused_a_document_serves_the_next(decoder: Watched) -> None:
    first = decoder.start().pid
    with pytest.raises(Truncated):
        decoder.all(saved(drawing(), "PNG")[:-5])
    assert len(decoder.all(saved(drawing(), "PNG"))) == 1
    assert decoder.start().pid == first


def test_the_largest_transparent_picture_fits_into_the_memory(decoder: Watched) -> None:
    (page,) = decoder.all(saved(Image.new("RGBA", (7_070, 7_070), (200, 0, 0, 128)), "PNG", compress_level=1))
    assert isinstance(page, PicturePage)
    assert len(page.pixels) == 7_070 * 7_070 * 3


def test_a_small_pdf_that_unpacks_beyond_the_memory_costs_a_child_and_no_more() -> None:
    content = pdf_bomb(bytes(2**20), times=600, filters=3)
    assert len(content) < 20_000
    made = Watched(replace(LIMITS, memory=500 * 1024**2))
    with pytest.raises(DecodeFailed):
        made.all(content)
    assert made.deaths == 1
    assert len(made.all(pdf_page(words("Still here", 10, 10)))) == 1
    made.close()


def test_a_drawing_that_draws_itself_for_ever_is_ended() -> None:
    drawn = stream(
        b"/X Do /X Do", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"
    )
    content = pdf_page(b"/X Do", b"/MediaBox [0 0 99 99] /Resources << /XObject << /X 6 0 R >> >>", b"", drawn)
    made = Watched(replace(LIMITS, seconds=0.5, seconds_per_page=0.5))
    with pytest.raises((DecodeTimeout, DecodeFailed)):  # whichever comes first, its time's end or its memory's
        made.all(content)
    assert made.deaths == 1
    assert len(made.all(pdf_page(words("Still here", 10, 10)))) == 1
    made.close()


def test_random_bytes_behind_a_jpeg_mark_are_refused(decoder: Watched) -> None:
    with pytest.raises((Truncated, DecodeFailed)):
        decoder.all(b"\xff\xd8\xff" + bytes(range(256)) * 40)


def test_one_warm_child_serves_document_after_document(decoder: Watched) -> None:
    first = decoder.start().pid
    for _ in range(3):
        decoder.all(saved(drawing(), "PNG"))
    assert decoder.start().pid == first


def test_a_child_killed_mid_document_says_nothing_against_the_document(doomed: Watched, tmp_path: Path) -> None:
    content = pdf(tmp_path, 20)
    pages = doomed.pages(content, media_type(content), 150)
    next(pages)
    os.kill(doomed.start().pid, signal.SIGKILL)
    with pytest.raises(DecoderKilled):
        list(pages)
    assert doomed.deaths == 1
    assert len(doomed.all(saved(drawing(), "PNG"))) == 1


def test_a_child_killed_while_idle_fails_no_document(doomed: Watched) -> None:
    child = doomed.start()
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while child.alive:
        assert time.monotonic() < deadline
    assert len(doomed.all(saved(drawing(), "PNG"))) == 1
    assert doomed.deaths == 1


def test_a_child_past_its_deadline_is_ended_and_replaced() -> None:
    made = Watched(replace(LIMITS, seconds=0.5, seconds_per_page=0.1))
    stopped = made.start()
    os.kill(stopped.pid, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(DecodeTimeout):
        made.all(saved(drawing(), "PNG"))
    assert time.monotonic() - begun < 5
    assert not stopped.alive
    assert made.deaths == 1
    assert len(made.all(saved(drawing(), "PNG"))) == 1
    made.close()


def test_what_the_caller_does_between_two_pages_is_not_the_childs_time(tmp_path: Path) -> None:
    made = Watched(replace(LIMITS, seconds=2, seconds_per_page=0.01))
    content = pdf(tmp_path, 4)
    pages = made.pages(content, media_type(content), 150)
    next(pages)
    time.sleep(2.5)
    assert len(list(pages)) == 3
    made.close()


def test_a_memory_bomb_under_the_pixel_cap_ends_as_a_failed_decode() -> None:
    made = Watched(replace(LIMITS, memory=400 * 1024**2, pixels=10**9))
    with pytest.raises(DecodeFailed):
        made.all(huge_png(25_000))
    assert len(made.all(saved(drawing(), "PNG"))) == 1
    made.close()


def test_a_page_nobody_waits_for_leaves_no_words_for_the_next_document(doomed: Watched, tmp_path: Path) -> None:
    content = pdf(tmp_path, 3)
    pages = doomed.pages(content, media_type(content), 150)
    next(pages)
    pages.close()
    assert len(doomed.all(saved(drawing(), "PNG"))) == 1
    assert doomed.deaths == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from([*small_files(), "pdf"]))
def test_no_damage_hangs_or_kills_and_every_failure_has_its_code(
    decoder: Watched, data: st.DataObject, name: str
) -> None:
    content = bytearray(pdf_page(words("Weir", 9, 9)) if name == "pdf" else small_files()[name])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(decoder, bytes(content)) != InputError.code

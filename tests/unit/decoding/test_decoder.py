"""Documents through a real child: good ones, bad ones, bombs, and children that die."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from deploy.local.samples import letters
from processors.decoding.decoder import Decoder, Picture
from processors.decoding.limits import Limits
from schemas.errors import (
    DecodeFailed,
    DecoderKilled,
    DecodeTimeout,
    EmptyInput,
    Encrypted,
    InputError,
    TooManyPages,
    TooManyPixels,
    Truncated,
    UnsupportedMedia,
)
from schemas.media import media_type
from tests.unit.decoding.documents import ENCRYPTED, huge_png

LIMITS = Limits(seconds=20, seconds_per_page=5, memory=2 * 1024**3, pixels=50_000_000, pages=20)


class Watched(Decoder):
    """A decoder that remembers its children's deaths."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.deaths = 0
        super().__init__(limits, self._died)

    def _died(self) -> None:
        self.deaths += 1

    def all(self, content: bytes) -> list[Picture]:
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


def drawing(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((5, 5, 20, 30), fill=(200, 40, 10))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pdf(tmp_path: Path, pages: int) -> bytes:
    path = tmp_path / f"{pages}.pdf"
    letters(path, pages)
    return path.read_bytes()


def outcome(decoder: Watched, content: bytes) -> str:
    try:
        return f"{len(decoder.all(content))} pages"
    except InputError as error:
        return error.code


def opened(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.png))


def test_a_pdf_is_rendered_page_by_page_at_the_asked_resolution(decoder: Watched, tmp_path: Path) -> None:
    pages = decoder.all(pdf(tmp_path, 3))
    assert [page.number for page in pages] == [1, 2, 3]
    for page in pages:
        assert (page.width, page.height) == opened(page).size == (1241, 1754)  # A4, rounded up
        assert opened(page).mode == "L", "a page without colour is stored without colour"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_one_page_of_its_own_size(decoder: Watched, kind: str) -> None:
    (page,) = decoder.all(saved(drawing(), kind))
    assert (page.number, page.width, page.height) == (1, 60, 40)
    assert opened(page).mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_png_keeps_dark_dark_and_paper_white(decoder: Watched, mode: str) -> None:
    image = (
        drawing("L").convert("I").point(lambda value: value * 257).convert("I;16") if mode == "I;16" else drawing(mode)
    )
    (page,) = decoder.all(saved(image, "PNG"))
    grey = opened(page).convert("L")
    assert grey.getpixel((40, 20)) == 255
    assert int(str(grey.getpixel((10, 10)))) < 120


def test_transparent_paper_becomes_white(decoder: Watched) -> None:
    image = Image.new("RGBA", (30, 30), (0, 0, 0, 0))
    (page,) = decoder.all(saved(image, "PNG"))
    assert opened(page).convert("L").getextrema() == (255, 255)


def test_cmyk_jpeg_is_read(decoder: Watched) -> None:
    (page,) = decoder.all(saved(drawing("CMYK"), "JPEG"))
    assert opened(page).convert("L").getpixel((40, 20)) > 240


def test_a_turned_photograph_is_set_upright(decoder: Watched) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held sideways
    (page,) = decoder.all(saved(drawing(), "JPEG", exif=turned))
    assert (page.width, page.height) == (40, 60)


def test_nothing_is_an_empty_input() -> None:
    with pytest.raises(EmptyInput):
        media_type(b"")


@pytest.mark.parametrize("content", [os.urandom(400).replace(b"%PDF", b"----"), b"GIF89a rest", b"PK\x03\x04", b"text"])
def test_other_content_is_unsupported_whatever_its_name(content: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        media_type(b"\x00" + content)


def test_random_bytes_behind_a_jpeg_mark_are_refused(decoder: Watched) -> None:
    with pytest.raises((Truncated, DecodeFailed)):
        decoder.all(b"\xff\xd8\xff" + bytes(range(256)) * 40)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_cut_in_half_is_truncated(decoder: Watched, kind: str) -> None:
    content = saved(drawing(size=(400, 300)).effect_spread(40), kind)
    with pytest.raises(Truncated):
        decoder.all(content[: len(content) // 2])


def test_a_pdf_cut_anywhere_is_truncated(decoder: Watched, tmp_path: Path) -> None:
    content = pdf(tmp_path, 2)
    for share in (0.02, 0.3, 0.6, 0.9, 0.99):
        with pytest.raises(Truncated):
            decoder.all(content[: int(len(content) * share)])


def test_a_pdf_that_opens_without_its_later_part_is_still_truncated(decoder: Watched, tmp_path: Path) -> None:
    first = pdf(tmp_path, 1)
    with pytest.raises(Truncated):
        decoder.all(first + b"\n9 0 obj\n<< /Type /Page >>\nendobj\n")


def test_bytes_that_only_begin_like_a_pdf_are_refused(decoder: Watched) -> None:
    with pytest.raises(DecodeFailed):
        decoder.all(b"%PDF-1.7\n" + b"nothing of it " * 90 + b"\n%%EOF")


def test_an_encrypted_pdf_says_so(decoder: Watched) -> None:
    with pytest.raises(Encrypted):
        decoder.all(ENCRYPTED)


def test_a_small_png_of_huge_size_is_refused_before_it_is_decoded(decoder: Watched) -> None:
    content = huge_png(50_000)
    assert len(content) < 400_000
    decoder.start()
    begun = time.monotonic()
    with pytest.raises(TooManyPixels) as caught:
        decoder.all(content)
    assert time.monotonic() - begun < 5, "decoding it would take far longer"
    assert "50000 x 50000" in caught.value.detail


def test_a_pdf_page_of_huge_size_is_refused_before_it_is_rendered(decoder: Watched) -> None:
    content = saved(drawing(), "PDF", resolution=0.2)  # 60 pixels on 300 inches
    with pytest.raises(TooManyPixels):
        decoder.all(content)


def test_a_document_of_too_many_pages_is_refused(decoder: Watched) -> None:
    blank = Image.new("1", (10, 10))
    content = saved(blank, "PDF", save_all=True, append_images=[blank] * 20)
    with pytest.raises(TooManyPages) as caught:
        decoder.all(content)
    assert "21 pages" in caught.value.detail


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
    made = Watched(Limits(seconds=0.5, seconds_per_page=0.1, memory=LIMITS.memory, pixels=LIMITS.pixels, pages=9))
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
    made = Watched(Limits(seconds=2, seconds_per_page=0.01, memory=LIMITS.memory, pixels=LIMITS.pixels, pages=9))
    content = pdf(tmp_path, 4)
    pages = made.pages(content, media_type(content), 150)
    next(pages)
    time.sleep(2.5)
    assert len(list(pages)) == 3
    made.close()


def test_a_memory_bomb_under_the_pixel_cap_ends_as_a_failed_decode() -> None:
    made = Watched(Limits(seconds=20, seconds_per_page=5, memory=400 * 1024**2, pixels=10**9, pages=9))
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


def test_the_child_holds_none_of_our_secrets(doomed: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_POSTGRES", "postgresql://someone:secret@host/db")
    environment = Path(f"/proc/{doomed.start().pid}/environ").read_bytes()
    assert b"HEADRACE" not in environment


def test_the_child_is_bound(doomed: Watched) -> None:
    limits = Path(f"/proc/{doomed.start().pid}/limits").read_text()
    bounds = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert bounds["Max address space"] == str(LIMITS.memory)
    assert bounds["Max file size"] == "0"
    assert bounds["Max core file size"] == "0"
    assert int(bounds["Max open files"]) <= 64


def test_even_a_stopped_child_ends_with_its_parent() -> None:
    code = (
        "import os, signal, time; from processors.decoding.process import Child; "
        f"from processors.decoding.limits import Limits; child = Child({LIMITS!r}); "
        "os.kill(child.pid, signal.SIGSTOP); print(child.pid, flush=True); input()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    status = Path(f"/proc/{int(parent.stdout.readline())}/stat")
    assert running(status)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while running(status):
        assert time.monotonic() < deadline


def running(status: Path) -> bool:
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_childs_cpu_seconds_are_those_of_its_document(doomed: Watched) -> None:
    doomed.all(saved(drawing(), "PNG"))
    limits = Path(f"/proc/{doomed.start().pid}/limits").read_text()
    (seconds,) = [int(line.split()[3]) for line in limits.splitlines() if line.startswith("Max cpu time")]
    assert 25 <= seconds <= 27


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG", "PDF"]))
def test_no_damage_hangs_or_kills_and_every_failure_has_its_code(
    decoder: Watched, data: st.DataObject, kind: str
) -> None:
    content = bytearray(saved(drawing(), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(decoder, bytes(content)) != InputError.code

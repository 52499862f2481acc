"""The real reader on pages whose text is known."""

import io
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from deploy.local.samples import invoice, letters
from processors.decoding.decoder import Decoder, Picture
from processors.decoding.limits import Limits
from processors.engines.factory import reader
from processors.engines.ports import Reader
from processors.steps.reading_order import ordered_lines
from schemas.errors import DecodeFailed
from schemas.settings import Settings


@pytest.fixture(scope="module")
def real() -> Reader:
    """The reader of the `document` plan, warm."""
    made = reader(Settings(engines="real"))
    made.load()
    return made


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    """A decoder."""
    made = Decoder(Limits.of(Settings()))
    yield made
    made.close()


def read(real: Reader, page: Picture) -> list[str]:
    return [line.text for line in ordered_lines(real.read(page.png, page.width, page.height), page.width, page.height)]


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), 255).save(file, "PNG")
    return file.getvalue()


def share_found(truth: list[str], lines: list[str]) -> float:
    wanted, got = (Counter(word for line in some for word in line.split()) for some in (truth, lines))
    return (wanted & got).total() / wanted.total()


def test_a_scanned_invoice_is_read_nearly_whole(real: Reader, decoder: Decoder, tmp_path: Path) -> None:
    truth = invoice(tmp_path / "invoice.pdf", pages=1, seed=3)
    (page,) = decoder.pages((tmp_path / "invoice.pdf").read_bytes(), "application/pdf", 150)
    assert share_found(truth[0], read(real, page)) >= 0.95


def test_a_clean_letter_is_read_whole_and_in_order(real: Reader, decoder: Decoder, tmp_path: Path) -> None:
    truth = letters(tmp_path / "letter.pdf", 1)
    (page,) = decoder.pages((tmp_path / "letter.pdf").read_bytes(), "application/pdf", 150)
    assert read(real, page) == truth[0]


def test_a_blank_page_has_no_lines(real: Reader) -> None:
    assert real.read(png(600, 800), 600, 800) == []


@pytest.mark.parametrize(("width", "height"), [(8000, 5), (1, 20_000)])
def test_a_page_too_narrow_for_text_is_the_inputs_fault(real: Reader, width: int, height: int) -> None:
    with pytest.raises(DecodeFailed, match="too narrow"):
        real.read(png(width, height), width, height)


def test_the_smallest_picture_has_no_lines(real: Reader) -> None:
    assert real.read(png(1, 1), 1, 1) == []


def test_bytes_that_are_no_picture_are_refused(real: Reader) -> None:
    for content in (b"", b"\x89PNG\r\n\x1a\nnothing"):
        with pytest.raises(DecodeFailed):
            real.read(content, 10, 10)


def test_the_stamp_names_engine_and_weights(real: Reader) -> None:
    assert real.stamp.name == "rapidocr"
    assert len(real.stamp.digest) == 16
    assert set(real.stamp.digest) <= set("0123456789abcdef")


def test_the_loaded_reader_maps_no_libgl_and_asks_no_network() -> None:
    code = (
        "import socket\n"
        "def refuse(*words): raise SystemExit('the reader asked the network')\n"
        "socket.getaddrinfo = refuse\n"
        "from processors.engines.factory import reader; from schemas.settings import Settings\n"
        "reader(Settings()).load(); print(open('/proc/self/maps').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cv2" in done.stdout
    assert "libGL" not in done.stdout


def test_the_same_seed_gives_the_same_invoice(tmp_path: Path) -> None:
    first, again, other = (invoice(tmp_path / f"{name}.pdf", 1, seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    assert first == again != other

"""The real reader on pages whose text is known."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from deploy.local.samples import invoice, letters, photograph
from processors.engines.factory import orienter, reader
from processors.engines.ports import Reader
from processors.engines.rapidocr_reader import RapidOcrReader
from processors.engines.weights import OtherModelMissing
from processors.steps.upright import upright
from schemas.errors import DecodeFailed
from schemas.plans import DOCUMENT, OCR_MODELS, edited
from schemas.settings import Settings
from tests.unit.engines import drawings


@pytest.fixture(scope="module")
def real() -> Reader:
    """The reader of the `document` plan, warm."""
    made = reader(Settings(engines="real"))
    made.load()
    return made


def read(real: Reader, page: Image.Image) -> list[str]:
    """Texts from top to bottom: enough of an order for lines of full width."""
    return [found.text for found in sorted(real.read(page), key=lambda found: min(y for _, y in found.points))]


def share_found(truth: list[str], lines: list[str]) -> float:
    wanted, got = (Counter(word for line in some for word in line.split()) for some in (truth, lines))
    return (wanted & got).total() / wanted.total()


def test_a_scanned_invoice_is_read_nearly_whole(real: Reader, tmp_path: Path) -> None:
    truth = invoice(tmp_path / "invoice.pdf", pages=1, seed=3)
    page = drawings.rendered(tmp_path / "invoice.pdf")
    assert share_found(truth[0], read(real, page)) >= 0.95


def test_a_clean_letter_is_read_whole(real: Reader, tmp_path: Path) -> None:
    truth = letters(tmp_path / "letter.pdf", 1)
    assert read(real, drawings.rendered(tmp_path / "letter.pdf")) == truth[0]


def test_a_grey_picture_is_read_like_the_same_in_colour(real: Reader) -> None:
    page = drawings.lines(drawings.sentences(3, 6))
    before = page.tobytes()
    assert real.read(page.convert("RGB")) == real.read(page) != []
    assert page.tobytes() == before


def test_a_sideways_photograph_is_read_once_it_stands_upright(real: Reader, tmp_path: Path) -> None:
    truth = photograph(tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as photo:
        page = upright(photo, orienter(Settings(engines="real"))).image
    assert share_found(truth, read(real, page)) >= 0.98


def test_red_and_blue_are_not_taken_for_each_other(real: Reader) -> None:
    line = Image.new("RGB", (600, 80), (60, 60, 255))
    ImageDraw.Draw(line).text((20, 20), "The pump was stopped", font=ImageFont.load_default(34), fill=(255, 255, 0))
    assert [found.text for found in real.read(line)] == ["The pump was stopped"]


def test_a_blank_page_has_no_lines(real: Reader) -> None:
    assert real.read(drawings.blank(600, 800)) == []


def test_an_edit_may_choose_another_model_which_reads_nearly_as_well(real: Reader, tmp_path: Path) -> None:
    truth = letters(tmp_path / "letter.pdf", 1)
    plan = edited(DOCUMENT, {"ocr": {"model": OCR_MODELS[1]}})
    other = real.tuned(plan.options("ocr"))
    assert share_found(truth[0], read(other, drawings.rendered(tmp_path / "letter.pdf"))) >= 0.9
    assert (real.stamp.model, other.stamp.model) == OCR_MODELS
    assert real.stamp.digest != other.stamp.digest
    assert real.tuned(edited(plan, {"ocr": {"model": OCR_MODELS[0]}}).options("ocr")) is real


def test_the_model_of_an_edit_that_is_missing_rejects_its_pages_alone(tmp_path: Path) -> None:
    made = RapidOcrReader(tmp_path, **DOCUMENT.options("ocr"))
    other = made.tuned({**DOCUMENT.options("ocr"), "model": OCR_MODELS[1]})
    with pytest.raises(OtherModelMissing, match="headrace models fetch"):
        other.read(drawings.blank(60, 80))


@pytest.mark.parametrize(("width", "height"), [(8000, 5), (1, 20_000)])
def test_a_page_too_narrow_for_text_is_the_inputs_fault(real: Reader, width: int, height: int) -> None:
    with pytest.raises(DecodeFailed, match="too narrow"):
        real.read(drawings.blank(width, height))


def test_the_smallest_picture_has_no_lines(real: Reader) -> None:
    assert real.read(drawings.blank(1, 1)) == []


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

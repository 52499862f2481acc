"""Which engines the settings choose, and engines that mean nothing but are always the same."""

import math
import subprocess
import sys
import time

import pytest
from PIL import Image

from processors.engines.factory import embedder, layout_finder, orienter, reader
from processors.engines.fakes import FakeEmbedder, FakeLayoutFinder, FakeOrienter, FakeReader
from processors.engines.minilm_embedder import MiniLmEmbedder
from processors.engines.picodet_layout_finder import PicoDetLayoutFinder
from processors.engines.rapid_orienter import RapidOrienter
from processors.engines.rapidocr_reader import RapidOcrReader
from schemas.settings import Settings


def test_the_settings_choose_the_engines() -> None:
    assert isinstance(reader(Settings(engines="real")), RapidOcrReader)
    assert isinstance(embedder(Settings(engines="real")), MiniLmEmbedder)
    assert isinstance(layout_finder(Settings(engines="real")), PicoDetLayoutFinder)
    assert isinstance(orienter(Settings(engines="real")), RapidOrienter)
    for engines in ("fake", "sleep:0.5"):
        assert isinstance(reader(Settings(engines=engines)), FakeReader)
        assert isinstance(embedder(Settings(engines=engines)), FakeEmbedder)
        assert isinstance(layout_finder(Settings(engines=engines)), FakeLayoutFinder)
        assert isinstance(orienter(Settings(engines=engines)), FakeOrienter)


@pytest.mark.parametrize("engines", ["", "reel", "sleep", "sleep:long", "fake:2"])
def test_an_engine_setting_that_is_none_is_refused(engines: str) -> None:
    for make in (reader, embedder, layout_finder, orienter):
        with pytest.raises(ValueError):  # noqa: PT011 float's own words or ours
            make(Settings(engines=engines))


def test_the_sleeping_reader_takes_its_time() -> None:
    begun = time.monotonic()
    reader(Settings(engines="sleep:0.2")).read(Image.new("L", (10, 10)))
    assert time.monotonic() - begun >= 0.2


def test_a_fake_reader_answers_by_the_pixels_and_inside_the_page() -> None:
    pages = [Image.new("L", (80, 120), number) for number in range(40)]
    answers = [FakeReader().read(page) for page in pages]
    assert {len(found) for found in answers} == {2, 3}
    assert len({found[0].text for found in answers}) == 40
    for page, found in zip(pages, answers, strict=True):
        assert FakeReader().read(page) == found
        assert all(0 <= x <= 80 and 0 <= y <= 120 for item in found for x, y in item.points)


def test_the_other_fakes_find_an_upright_page_of_text() -> None:
    page = Image.new("L", (80, 120))
    assert FakeOrienter().turn(page) == (0, 0, 1)
    assert FakeLayoutFinder().regions(page) == [("text", (0, 0, 80, 120), 1)]


def test_a_fake_vector_has_length_one_and_follows_from_its_text() -> None:
    one, other, again = FakeEmbedder().embed(["one", "other", "one"])
    assert len(one) == FakeEmbedder.dimensions
    assert math.hypot(*one) == pytest.approx(1)
    assert one == again
    assert abs(sum(a * b for a, b in zip(one, other, strict=True))) < 0.3


def test_choosing_engines_imports_no_heavy_library() -> None:
    code = (
        "import sys; from schemas.settings import Settings;"
        "from processors.engines.factory import embedder, layout_finder, orienter, reader;"
        "[make(Settings()) for make in (embedder, layout_finder, orienter, reader)];"
        "print(sorted({'cv2', 'onnxruntime', 'rapidocr', 'tokenizers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

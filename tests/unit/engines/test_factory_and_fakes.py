"""Which engines the settings choose, and engines that mean nothing but are always the same."""

import math
import subprocess
import sys
import time

import pytest

from processors.engines.factory import embedder, reader
from processors.engines.fakes import FakeEmbedder, FakeReader
from processors.engines.minilm_embedder import MiniLmEmbedder
from processors.engines.rapidocr_reader import RapidOcrReader
from schemas.settings import Settings


def test_the_settings_choose_the_engines() -> None:
    assert isinstance(reader(Settings(engines="real")), RapidOcrReader)
    assert isinstance(embedder(Settings(engines="real")), MiniLmEmbedder)
    for engines in ("fake", "sleep:0.5"):
        assert isinstance(reader(Settings(engines=engines)), FakeReader)
        assert isinstance(embedder(Settings(engines=engines)), FakeEmbedder)


@pytest.mark.parametrize("engines", ["", "reel", "sleep", "sleep:long", "fake:2"])
def test_an_engine_setting_that_is_none_is_refused(engines: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 float's own words or ours
        reader(Settings(engines=engines))


def test_the_sleeping_reader_takes_its_time() -> None:
    begun = time.monotonic()
    reader(Settings(engines="sleep:0.2")).read(b"png", 10, 10)
    assert time.monotonic() - begun >= 0.2


def test_a_fake_reader_answers_by_the_bytes_and_inside_the_page() -> None:
    pages = {bytes([number]): FakeReader().read(bytes([number]), 80, 120) for number in range(40)}
    assert {len(found) for found in pages.values()} == {2, 3}
    assert len({found[0].text for found in pages.values()}) == 40
    for png, found in pages.items():
        assert FakeReader().read(png, 80, 120) == found
        assert all(0 <= x <= 80 and 0 <= y <= 120 for item in found for x, y in item.points)


def test_a_fake_vector_has_length_one_and_follows_from_its_text() -> None:
    one, other, again = FakeEmbedder().embed(["one", "other", "one"])
    assert len(one) == FakeEmbedder.dimensions
    assert math.hypot(*one) == pytest.approx(1)
    assert one == again
    assert abs(sum(a * b for a, b in zip(one, other, strict=True))) < 0.3


def test_choosing_engines_imports_no_heavy_library() -> None:
    code = (
        "import sys; from processors.engines.factory import reader, embedder; from schemas.settings import Settings;"
        "reader(Settings()); embedder(Settings());"
        "print(sorted({'cv2', 'onnxruntime', 'rapidocr', 'tokenizers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

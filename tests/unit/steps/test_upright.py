"""What the step makes of an orienter's findings. The pictures are arrays whose corners tell how they lie."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from processors.engines.fakes import FakeOrienter
from processors.engines.ports import Degrees, Turn
from processors.steps.upright import upright


class Saying(FakeOrienter):
    """An orienter that finds this, whatever it sees."""

    def __init__(self, degrees: Degrees, skew: float, score: float) -> None:
        super().__init__()
        self._turn = Turn(degrees, skew, score)

    def turn(self, image: Image.Image) -> Turn:
        return self._turn


def marked(mode: str = "L") -> Image.Image:
    """Higher than wide, with a dark blot in the top left corner."""
    page = Image.new(mode, (60, 90), "white")
    ImageDraw.Draw(page).rectangle((5, 5, 20, 10), fill="black")
    return page


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_clear_turn_is_made_clockwise_and_exactly(degrees: Degrees) -> None:
    page = marked()
    made = upright(page, Saying(degrees, 0, 0.9))
    assert (made.turned, made.skew) == (degrees, 0)
    assert np.array_equal(np.asarray(made.image), np.rot90(np.asarray(page), -degrees // 90))


def test_what_lay_sideways_stands_upright() -> None:
    lying = marked().transpose(Image.Transpose.ROTATE_90)
    assert upright(lying, Saying(90, 0, 0.9)).image.tobytes() == marked().tobytes()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_an_unclear_turn_is_not_made_and_its_skew_belongs_to_it(degrees: Degrees) -> None:
    page = marked()
    assert upright(page, Saying(degrees, 3.0, 0.5)) == (page, 0, 0)


def test_a_page_that_may_well_be_upright_is_levelled_by_its_lines() -> None:
    assert upright(marked(), Saying(0, 3.0, 0.5)).skew == 3.0


def test_less_skew_than_matters_leaves_the_pixels_alone() -> None:
    page = marked()
    for skew in (0.0, 0.25, -0.25):
        assert upright(page, Saying(0, skew, 0.9)) == (page, 0, 0)


@pytest.mark.parametrize("skew", [-10.0, -1.2, 0.5, 3.0])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_levelling_cuts_nothing_off_and_leaves_white_corners(skew: float, mode: str) -> None:
    page = Image.new(mode, (600, 900), "white")
    ImageDraw.Draw(page).rectangle((0, 0, 599, 8), fill="black")
    made = upright(page, Saying(0, skew, 0.9))
    assert (made.image.mode, made.turned, made.skew) == (mode, 0, skew)
    grey = np.asarray(made.image.convert("L"), np.float64)
    assert (255 - grey).sum() == pytest.approx(600 * 9 * 255, rel=0.02)
    width, height = made.image.size
    assert {made.image.convert("L").getpixel(place) for place in ((0, height - 1), (width - 1, height - 1))} == {255}


def test_levelling_turns_clockwise() -> None:
    page = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(page).line((50, 200, 350, 200), fill=0, width=3)
    dark = np.argwhere(np.asarray(upright(page, Saying(0, 5.0, 0.9)).image) < 128)
    left, right = dark[dark[:, 1].argmin()], dark[dark[:, 1].argmax()]
    assert right[0] - left[0] == pytest.approx(300 * np.sin(np.radians(5)), abs=3)

"""What models answered is checked before anything is made of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.engines.ports import Found, Region
from processors.steps.findings import found_lines, found_regions
from schemas.documents import Box
from schemas.errors import ModelOutputInvalid

WIDTH, HEIGHT = 1000, 1400


def quad(left: float, top: float, right: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


@given(st.floats(-20, WIDTH), st.floats(-20, HEIGHT), st.floats(21, 800), st.floats(21, 90), st.floats(0, 1))
def test_what_reaches_over_the_edge_is_cut_there(x: float, y: float, wide: float, high: float, score: float) -> None:
    (line,) = found_lines([Found("text", quad(x, y, x + wide, y + high), score)], WIDTH, HEIGHT)
    (region,) = found_regions([Region("table", (x, y, x + wide, y + high), score)], WIDTH, HEIGHT)
    assert line.box == region.box == (max(x, 0), max(y, 0), min(x + wide, WIDTH), min(y + high, HEIGHT))
    assert (line.score, region.score, region.kind) == (score, score, "table")


def test_lines_keep_their_order_and_those_without_text_are_dropped() -> None:
    found = [Found(text, quad(1, 1, 5, 5), 0.5) for text in ("b", "  ", "a", "")]
    assert [line.text for line in found_lines(found, WIDTH, HEIGHT)] == ["b", "a"]


IMPOSSIBLE: list[tuple[Box, float]] = [
    ((1, 1, 5, 5), math.nan),
    ((1, 1, 5, 5), -0.1),
    ((1, 1, 5, 5), 1.1),
    ((math.nan, 1, 5, 5), 0.5),
    ((1, 1, 5, math.nan), 0.5),
    ((1, 1, math.inf, 5), 0.5),
    ((-math.inf, 1, 5, 5), 0.5),
    ((WIDTH + 1, 1, WIDTH + 9, 5), 0.5),
    ((1, -9, 5, -1), 0.5),
]


@pytest.mark.parametrize(("box", "score"), IMPOSSIBLE)
def test_numbers_that_cannot_be_are_refused(box: Box, score: float) -> None:
    with pytest.raises(ModelOutputInvalid):
        found_lines([Found("text", quad(*box), score)], WIDTH, HEIGHT)
    with pytest.raises(ModelOutputInvalid):
        found_regions([Region("text", box, score)], WIDTH, HEIGHT)


def test_a_line_without_a_place_and_a_region_of_negative_size_are_refused() -> None:
    with pytest.raises(ModelOutputInvalid):
        found_lines([Found("text", (), 0.5)], WIDTH, HEIGHT)
    for box in ((5, 1, 1, 5), (1, 5, 5, 1)):
        with pytest.raises(ModelOutputInvalid):
            found_regions([Region("text", box, 0.5)], WIDTH, HEIGHT)

"""Reading order, passages and vectors: nothing lost, nothing out of its page, nothing out of order."""

import base64
import itertools
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.engines.ports import Found
from processors.steps.chunk import passages
from processors.steps.embed import encode_vector
from processors.steps.reading_order import ordered_lines
from schemas.documents import Line
from schemas.errors import ModelOutputInvalid

WIDTH, HEIGHT = 1000, 1400


def quad(left: float, top: float, right: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


@st.composite
def found_lines(draw: st.DrawFn) -> Found:
    left, top = draw(st.floats(-20, WIDTH)), draw(st.floats(-20, HEIGHT))
    points = quad(left, top, left + draw(st.floats(21, 800)), top + draw(st.floats(21, 90)))
    text = draw(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=40))
    return Found(text, points, draw(st.floats(0, 1)))


lines = st.lists(
    st.builds(
        lambda text, x, y: Line(text=text, box=(x, y, x + 50, y + 20), score=0.9),
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=90),
        st.floats(0, 900),
        st.floats(0, 1300),
    ),
    max_size=60,
)


@given(st.lists(found_lines(), max_size=40))
def test_no_line_is_lost_and_every_box_lies_inside_its_page(found: list[Found]) -> None:
    ordered = ordered_lines(found, WIDTH, HEIGHT)
    assert sorted(line.text for line in ordered) == sorted(item.text for item in found)
    for line in ordered:
        x0, y0, x1, y1 = line.box
        assert 0 <= x0 <= x1 <= WIDTH
        assert 0 <= y0 <= y1 <= HEIGHT


@given(st.lists(st.lists(st.floats(0, 8), min_size=1, max_size=5), min_size=1, max_size=20), st.randoms())
def test_rows_are_read_from_top_to_bottom_and_each_from_left_to_right(rows: list[list[float]], chance: object) -> None:
    found = [
        Found(f"{row}-{column}", quad(column * 180, row * 60 + shift, column * 180 + 150, row * 60 + shift + 30), 1)
        for row, shifts in enumerate(rows)
        for column, shift in enumerate(shifts)
    ]
    expected = [item.text for item in found]
    chance.shuffle(found)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    assert [line.text for line in ordered_lines(found, 1000, 1400)] == expected


@pytest.mark.parametrize(
    ("points", "score"),
    [
        (quad(1, 1, 5, 5), math.nan),
        (quad(1, 1, 5, 5), -0.1),
        (quad(1, 1, 5, 5), 1.1),
        (quad(math.nan, 1, 5, 5), 0.5),
        (quad(1, 1, math.inf, 5), 0.5),
        (quad(WIDTH + 1, 1, WIDTH + 9, 5), 0.5),
        (quad(1, -9, 5, -1), 0.5),
        ((), 0.5),
    ],
)
def test_what_cannot_be_is_refused(points: tuple[tuple[float, float], ...], score: float) -> None:
    with pytest.raises(ModelOutputInvalid):
        ordered_lines([Found("text", points, score)], WIDTH, HEIGHT)


def test_a_finding_without_text_is_no_line() -> None:
    assert ordered_lines([Found("  ", quad(1, 1, 5, 5), 0.5)], WIDTH, HEIGHT) == ()


@given(lines, st.integers(1, 200))
def test_passages_keep_all_text_in_order_and_are_no_longer_than_asked(page: list[Line], most: int) -> None:
    made = passages(page, most)
    assert "\n".join(passage.text for passage in made) == "\n".join(line.text for line in page)
    assert [passage.index for passage in made] == list(range(len(made)))
    for passage in made:
        assert len(passage.text) <= most or passage.text in {line.text for line in page}


@given(lines, st.integers(1, 200))
def test_a_passages_box_is_the_least_one_around_its_lines(page: list[Line], most: int) -> None:
    rest = list(page)
    for passage in passages(page, most):
        group = [rest.pop(0) for _ in passage.text.split("\n")]
        corners = list(zip(*(line.box for line in group), strict=True))
        assert passage.box == (min(corners[0]), min(corners[1]), max(corners[2]), max(corners[3]))
    assert rest == []


@given(lines, st.integers(20, 200))
def test_two_neighbouring_passages_would_not_fit_into_one(page: list[Line], most: int) -> None:
    made = passages(page, most)
    for first, second in itertools.pairwise(made):
        assert len(first.text) + 1 + len(second.text.split("\n")[0]) > most


@given(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3).filter(lambda raw: math.hypot(*raw) > 0.1))
def test_a_vector_comes_back_from_its_words(raw: list[float]) -> None:
    unit = [value / math.hypot(*raw) for value in raw]
    back = struct.unpack("<3f", base64.b64decode(encode_vector(unit, 3)))
    assert back == pytest.approx(unit, abs=1e-6)


@pytest.mark.parametrize("vector", [[math.nan, 0, 0], [math.inf, 0, 0], [0.0, 0, 0], [2.0, 0, 0], [1.0, 0]])
def test_a_vector_that_cannot_be_is_refused(vector: list[float]) -> None:
    with pytest.raises(ModelOutputInvalid):
        encode_vector(vector, 3)

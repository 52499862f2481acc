"""Whatever is found where: every line is read once, stands in one block, and stays inside its page."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.engines.ports import Region
from processors.steps.reading_order import ordered_page
from schemas.documents import Block, Line
from tests.unit.steps.layouts import HEIGHT, WIDTH, read, row

KINDS = ["heading", "text", "table", "figure", "caption", "header", "footer", "reference", "equation"]


@st.composite
def boxes(draw: st.DrawFn, widest: int = WIDTH, highest: int = HEIGHT) -> tuple[float, float, float, float]:
    x0, y0 = draw(st.integers(0, WIDTH)), draw(st.integers(0, HEIGHT))
    return (x0, y0, min(WIDTH, x0 + draw(st.integers(0, widest))), min(HEIGHT, y0 + draw(st.integers(0, highest))))


found_lines = st.lists(st.tuples(st.sampled_from("a7א"), boxes(900, 90)), max_size=40, unique_by=lambda f: f[1]).map(
    lambda found: [Line(text=f"{text}{number}", box=box, score=0.5) for number, (text, box) in enumerate(found)]
)
found_regions = st.lists(st.builds(Region, st.sampled_from(KINDS), boxes(), st.floats(0, 1)), max_size=8)


def check(lines: list[Line], ordered: tuple[Line, ...], blocks: tuple[Block, ...]) -> None:
    assert sorted(map(id, ordered)) == sorted(map(id, lines))
    assert [number for block in blocks for number in block.lines] == list(range(len(lines)))
    for block in blocks:
        assert block.lines or block.kind == "figure"
        assert [number for row in block.rows for number in row] == list(block.lines if block.kind == "table" else ())
        assert block.box is not None
        x0, y0, x1, y1 = block.box
        assert 0 <= x0 <= x1 <= WIDTH
        assert 0 <= y0 <= y1 <= HEIGHT


@settings(deadline=None)
@given(found_lines, found_regions)
def test_no_line_is_lost_or_doubled_whatever_the_regions_say(lines: list[Line], regions: list[Region]) -> None:
    check(lines, *ordered_page(lines, regions, WIDTH, HEIGHT))


@settings(deadline=None)
@given(found_lines)
def test_no_line_is_lost_or_doubled_without_regions(lines: list[Line]) -> None:
    check(lines, *ordered_page(lines, (), WIDTH, HEIGHT))


@st.composite
def columns_of_lines(draw: st.DrawFn) -> list[Line]:
    """Two or three columns of justified lines at distances of their own, some of them short."""
    count = draw(st.integers(2, 3))
    wide = (WIDTH - 140 - 40 * (count - 1)) / count
    lines = []
    for number in range(count):
        x, y = 70 + number * (wide + 40), 100.0
        for _ in range(draw(st.integers(5, 20))):
            lines.append(
                Line(text=f"l{len(lines)}", box=(x, y, x + draw(st.sampled_from([wide, wide, 300.0])), y + 26), score=1)
            )
            y += draw(st.integers(28, 60))
    return lines


@settings(deadline=None)
@given(columns_of_lines())
def test_columns_are_read_one_after_the_other_whatever_their_lines(lines: list[Line]) -> None:
    assert read(lines)[0] == [line.text for line in lines]


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0, 8), min_size=1, max_size=5), min_size=1, max_size=20))
def test_short_lines_are_read_in_rows_each_from_left_to_right(rows: list[list[float]]) -> None:
    lines = []
    for number, shifts in enumerate(rows):
        for cell, shift in enumerate(shifts):
            lines += row(number * 60 + shift, [(cell * 180, f"{number}-{cell}")])
    assert read(lines)[0] == [line.text for line in lines]


@settings(deadline=None)
@given(found_lines, found_regions)
def test_what_a_line_is_does_not_depend_on_when_it_was_found(lines: list[Line], regions: list[Region]) -> None:
    def kinds(found: list[Line]) -> dict[str, str]:
        ordered, blocks = ordered_page(found, regions, WIDTH, HEIGHT)
        return {ordered[number].text: block.kind for block in blocks for number in block.lines}

    assert kinds(lines) == kinds(lines[::-1])


def test_a_page_of_very_many_lines_is_read_in_rows_and_at_once() -> None:
    lines = [found for y in range(80) for found in row(20 * y, [(36 * x, f"{y}-{x}") for x in range(33)])]
    assert read(lines)[0] == [line.text for line in lines]
    assert read(lines, Region("table", (0, 0, WIDTH, HEIGHT), 0.9))[1][0].kind == "table"

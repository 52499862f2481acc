"""Reading order of pages whose truth is known, with regions, without, and with wrong ones."""

import pytest

from processors.engines.ports import Region
from schemas.documents import Line
from tests.unit.steps.layouts import WIDTH, around, column, line, read, region, row, texts

TITLE = [line("A title across the page", 150, 80, 900, 44)]
LEFT, RIGHT = column("left", 100, 200, 20, 500), column("right", 640, 200, 20, 500)
WEEK = [
    row(900 + 40 * number, list(zip((140, 340, 540, 740, 940), cells, strict=True)))
    for number, cells in enumerate((("Weir", "Mon", "Tue", "Wed", "Thu"), ("Low", "1.2", "1.3", "1.2", "1.4")) * 2)
]


def test_two_columns_under_a_title_are_read_one_after_the_other() -> None:
    assert read([*TITLE, *LEFT, *RIGHT])[0] == texts(TITLE, LEFT, RIGHT)


def test_columns_whose_lines_are_out_of_step_are_read_one_after_the_other() -> None:
    right = column("right", 640, 211, 17, 500, pitch=37)
    assert read([*LEFT, *right])[0] == texts(LEFT, right)


def test_columns_a_quarter_of_a_line_apart_are_still_two() -> None:
    right = column("right", 607, 200, 20, 500)
    assert read([*LEFT, *right])[0] == texts(LEFT, right)


def test_three_columns_are_read_one_after_the_other() -> None:
    columns = [column(name, x, 200, 18, 330) for name, x in (("a", 100), ("b", 455), ("c", 810))]
    assert read(texts_of := [found for one in columns for found in one])[0] == texts(texts_of)


def test_what_lies_across_columns_is_read_between_those_above_and_those_below() -> None:
    heading = [line("Water levels of the week", 100, 850, 600)]
    low_left, low_right = column("low left", 100, 1100, 10, 500), column("low right", 640, 1100, 10, 500)
    page = [*TITLE, *LEFT, *RIGHT, *heading, *(cell for cells in WEEK for cell in cells), *low_left, *low_right]
    assert read(page)[0] == texts(TITLE, LEFT, RIGHT, heading, *WEEK, low_left, low_right)
    regions = (region("table", [cell for cells in WEEK for cell in cells]), region("text", LEFT), region("text", RIGHT))
    assert read(page, *regions)[0] == texts(TITLE, LEFT, RIGHT, heading, *WEEK, low_left, low_right)


def test_a_heading_that_closes_one_of_two_gutters_ends_the_columns() -> None:
    upper, lower = (
        [column(f"{name}{y}", x, y, 12, 330) for name, x in (("a", 100), ("b", 455), ("c", 810))] for y in (200, 900)
    )
    heading = [line("Half a page wide", 100, 700, 600)]
    page = [found for one in (*upper, heading, *lower) for found in one]
    assert read(page)[0] == texts(*upper, heading, *lower)


def test_a_letter_is_read_from_top_to_bottom() -> None:
    letter = [
        line("Millbrook Ltd", 100, 80, 300, 40),
        *column("body", 100, 200, 30, 900),
        line("A. Smith", 100, 1300, 90),
    ]
    ordered, blocks = read(letter)
    assert ordered == texts(letter)
    assert [len(block.lines) for block in blocks] == [1, 30, 1]


def test_rows_of_an_invoice_stay_rows_without_a_region() -> None:
    head = [
        *row(100, [(100, "Millbrook Hydraulics Ltd"), (860, "INVOICE")]),
        *row(140, [(100, "17 Weir Lane"), (860, "MH-0001")]),
    ]
    goods = [
        row(300 + 46 * n, [(100, f"A{n:04d}"), (260, "Bearing housing"), (800, str(n)), (960, "1.50")])
        for n in range(20)
    ]
    assert read([*head, *(cell for cells in goods for cell in cells)])[0] == texts(head, *goods)


def test_a_logo_in_the_margin_does_not_hold_columns_together() -> None:
    logo = [line("GPO", 20, 20, 60)]
    assert read([*logo, *TITLE, *LEFT, *RIGHT])[0] == texts(logo, TITLE, LEFT, RIGHT)


def test_a_page_number_in_a_columns_width_is_read_last() -> None:
    number = [line("Page 7 of 9", 110, 1650, 130)]
    assert read([*LEFT, *RIGHT, *number])[0] == texts(LEFT, RIGHT, number)
    number = [line("7", 1100, 100, 14)]
    assert read([*LEFT, *RIGHT, *number])[0] == texts(number, LEFT, RIGHT)


def test_heads_and_feet_are_read_first_and_last_but_only_at_the_pages_edge() -> None:
    head, foot = [line("Journal of weirs", 640, 40, 300)], [line("Millbrook 2026", 100, 1690, 300)]
    ordered, blocks = read([*LEFT, *RIGHT, *head, *foot], region("header", head), region("footer", foot))
    assert ordered == texts(head, LEFT, RIGHT, foot)
    assert (blocks[0].kind, blocks[-1].kind) == ("header", "footer")
    ordered, blocks = read([*LEFT, *RIGHT], region("header", RIGHT[8:10]), region("footer", LEFT[8:10]))
    assert ordered == texts(LEFT, RIGHT)
    assert {block.kind for block in blocks} == {"text"}


def test_a_line_that_runs_up_the_margin_is_read_after_the_columns() -> None:
    margin = [Line(text="arXiv:2004.04906v3 [cs.CL] 30 Sep 2020", box=(30, 300, 60, 1200), score=0.9)]
    assert read([*LEFT, *RIGHT, *margin])[0] == texts(LEFT, RIGHT, margin)


def test_a_narrow_letter_is_no_line_that_runs_up_the_margin() -> None:
    rows = [
        [Line(text=text, box=(x, y, x + 5, y + 20), score=1) for x, text in ((100, "I"), (400, "1"))]
        for y in range(100, 900, 50)
    ]
    assert read([cell for one in rows for cell in one])[0] == texts(*rows)


def test_a_caption_is_read_with_its_figure_in_a_column() -> None:
    above, below = column("above", 100, 200, 8, 500), column("below", 100, 900, 8, 500)
    caption = [line("Figure 1. The weir", 110, 830, 300)]
    figure = Region("figure", (100, 480, 600, 820), 0.9)
    ordered, blocks = read([*above, *caption, *below, *RIGHT], figure, region("caption", caption))
    assert ordered == texts(above, caption, below, RIGHT)
    kinds = [block.kind for block in blocks]
    assert kinds.index("caption") == kinds.index("figure") + 1
    assert blocks[kinds.index("figure")].lines == ()


def test_a_caption_without_its_figure_is_a_text() -> None:
    assert {block.kind for block in read([*LEFT, *RIGHT], region("caption", LEFT[:3]))[1]} == {"text"}


def test_a_formula_amid_a_text_is_read_in_its_place() -> None:
    formula = [line("x = y", 300, 200 + 32 * 20, 100)]
    text = [*LEFT, *formula, *column("more", 100, 200 + 32 * 21, 5, 500)]
    ordered, blocks = read([*text, *RIGHT], region("text", text), region("equation", formula))
    assert ordered == texts(text, RIGHT)
    assert [block.kind for block in blocks][:3] == ["text", "equation", "text"]


def test_a_heading_and_its_number_are_one_block() -> None:
    heading = row(160, [(100, "1"), (160, "Introduction")])
    ordered, blocks = read([*heading, *LEFT, *RIGHT], region("heading", heading), region("text", LEFT))
    assert ordered == texts(heading, LEFT, RIGHT)
    assert [block.kind for block in blocks][:2] == ["heading", "text"]


@pytest.mark.parametrize("kind", ["text", "reference", "heading", "table", "figure", "equation", "caption"])
def test_a_wrong_region_over_both_columns_changes_no_order(kind: str) -> None:
    page = [*TITLE, *LEFT, *RIGHT]
    wrong = Region(kind, (90, 190, 1150, 900), 0.99)  # type: ignore[arg-type]  # each is a kind
    assert read(page, wrong)[0] == texts(page)


@pytest.mark.parametrize("kind", ["text", "reference", "heading"])
def test_a_wrong_region_over_some_lines_of_both_columns_changes_no_order(kind: str) -> None:
    wrong = region(kind, [*LEFT[10:], RIGHT[10]])  # type: ignore[arg-type]  # each is a kind
    assert read([*LEFT, *RIGHT], wrong)[0] == texts(LEFT, RIGHT)


def test_a_wrong_kind_over_one_column_changes_no_order() -> None:
    ordered, blocks = read([*LEFT, *RIGHT], region("reference", LEFT, 0.5), region("text", RIGHT))
    assert ordered == texts(LEFT, RIGHT)
    assert [block.kind for block in blocks] == ["reference", "text"]


def test_a_figure_over_a_whole_invoice_is_none() -> None:
    goods = [row(300 + 46 * n, [(100, f"A{n:04d}"), (260, "Bearing"), (800, str(n)), (960, "1.50")]) for n in range(20)]
    cells = [cell for cells in goods for cell in cells]
    ordered, blocks = read(cells, region("figure", cells))
    assert ordered == texts(*goods)
    assert {block.kind for block in blocks} == {"text"}


def test_a_page_written_from_right_to_left_begins_with_the_right_column() -> None:
    right, left = ([found.model_copy(update={"text": f"مرحبا {found.text[-2:]} {name}"}) for found in lines]
                   for name, lines in (("א", RIGHT), ("ב", LEFT)))  # fmt: skip
    ordered, blocks = read([*right, *left], region("text", right), region("text", left))
    assert ordered == texts(right, left)
    assert [block.box for block in blocks] == [around(right), around(left)]


def test_cells_of_a_table_written_from_right_to_left_begin_at_the_right() -> None:
    rows = [row(300 + 60 * n, [(900, f"שלום {n}"), (500, f"עולם {n}"), (100, f"מים {n}")]) for n in range(3)]
    cells = [cell for one in rows for cell in one]
    ordered, (table,) = read(cells, region("table", cells))
    assert ordered == texts(*rows)
    assert table.rows == ((0, 1, 2), (3, 4, 5), (6, 7, 8))


def test_blocks_lie_around_their_lines() -> None:
    _, blocks = read([*LEFT, *RIGHT], region("text", LEFT, by=20))
    assert [block.box for block in blocks] == [around(LEFT), around(RIGHT)]
    cells = [cell for one in WEEK for cell in one]
    (table,) = read(cells, found := region("table", cells, by=20))[1]
    assert table.box == found.box
    assert found.box[2] < WIDTH

"""Rows and cells of tables whose truth is known."""

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.steps.tables import cells, table_rows
from schemas.documents import Box
from tests.unit.steps.layouts import row


def places(*boxes: tuple[float, float, float]) -> list[Box]:
    """Boxes 30 high from left, top and right."""
    return [(x0, y0, x1, y0 + 30) for x0, y0, x1 in boxes]


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.randoms())
def test_a_plain_grid_is_read_row_by_row(rows: int, columns: int, chance: object) -> None:
    lines = [cell for y in range(rows) for cell in row(y * 40, [(x * 180, f"{y}-{x}") for x in range(columns)])]
    order = list(range(len(lines)))
    chance.shuffle(order)  # type: ignore[attr-defined]  # Hypothesis gives a random.Random
    found = table_rows([lines[number].box or (0, 0, 0, 0) for number in order])
    texts = [[lines[order[number]].text for number in one] for one in found]
    assert texts == [[f"{y}-{x}" for x in range(columns)] for y in range(rows)]


def test_rows_as_dense_as_lines_of_text_stay_rows() -> None:
    assert table_rows(places((0, 0, 90), (200, 0, 290), (0, 30, 90), (200, 31, 290))) == [[0, 1], [2, 3]]


def test_a_heading_of_two_lines_is_one_cell_beside_one_that_stands_centred() -> None:
    head = places((0, 0, 120), (0, 40, 120), (200, 20, 380), (400, 0, 500), (400, 40, 560))
    body = places((0, 120, 90), (200, 120, 290), (400, 120, 490))
    assert table_rows([*head, *body]) == [[0, 1, 2, 3, 4], [5, 6, 7]]
    assert cells(head) == [[0, 1], [2], [3, 4]]


def test_a_wrapped_cell_goes_on_in_its_row() -> None:
    first, wrapped = places((0, 0, 60), (200, 0, 400), (600, 0, 640)), places((200, 32, 320))
    second, third = places((0, 90, 60), (200, 90, 400), (600, 90, 640)), places((0, 150, 60), (200, 150, 400))
    assert table_rows([*first, *wrapped, *second, *third]) == [[0, 1, 3, 2], [4, 5, 6], [7, 8]]


def test_an_empty_cell_moves_no_other() -> None:
    assert table_rows(places((0, 0, 60), (200, 0, 260), (0, 60, 60), (400, 60, 460))) == [[0, 1], [2, 3]]


def test_columns_out_of_step_are_not_one_row() -> None:
    left = places(*((0, 40 * n, 90) for n in range(10)))
    right = places(*((200, 40 * n + 15, 290) for n in range(10)))
    assert max(map(len, table_rows([*left, *right]))) == 2

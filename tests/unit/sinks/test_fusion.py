"""Two ranked lists as one."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from sinks.pgvector_search import fused

lists = st.lists(st.lists(st.integers(0, 20), unique=True), max_size=3)


def _ranked(found: list[list[int]]) -> list[tuple[int, float]]:
    return [
        (row["id"], row["score"]) for row in fused(cast(Any, [[{"id": i, "score": 9} for i in one] for one in found]))
    ]


def test_each_list_gives_the_reciprocal_of_60_and_the_rank() -> None:
    assert _ranked([[7, 8], [8, 9]]) == [(8, 1 / 61 + 1 / 62), (7, 1 / 61), (9, 1 / 62)]


@given(lists)
def test_every_row_is_there_once_and_the_order_is_that_of_the_scores(found: list[list[int]]) -> None:
    ranked = _ranked(found)
    assert sorted(name for name, _ in ranked) == sorted({name for one in found for name in one})
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)


@given(st.lists(st.integers(0, 20), unique=True))
def test_one_list_alone_keeps_its_order(found: list[int]) -> None:
    assert [name for name, _ in _ranked([found])] == found

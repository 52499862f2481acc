"""What an index makes of its batch, without a database."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from schemas.errors import ModelOutputInvalid, RecordError
from sinks.index_pages import DIMENSIONS, Drop, direction, drops_of, pages_of, worded
from tests.contract.passages import NOW, dropped, erased, plain
from tests.sinks import events


@given(arrays.arrays(np.float32, DIMENSIONS, elements=st.floats(width=32)))
def test_whatever_has_a_direction_has_a_cosine_in_float32_with_itself(vector: np.ndarray) -> None:
    try:
        found = direction(vector)
    except ModelOutputInvalid:
        return
    length = np.float32(math.sqrt(float(np.dot(found, found))))
    assert float(np.dot(found / length, found / length)) == pytest.approx(1, abs=1e-3)


@given(
    arrays.arrays(np.float32, DIMENSIONS, elements=st.floats(-1, 1, width=32)),
    st.integers(0, DIMENSIONS - 1),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e30]),
)
def test_one_number_that_is_none_spoils_a_vector(vector: np.ndarray, place: int, number: float) -> None:
    vector[place] = number
    with pytest.raises(ModelOutputInvalid):
        direction(vector)


def test_of_several_runs_of_a_page_the_highest_stands_in_whatever_order_they_come() -> None:
    tasks = [plain("demo", "doc", 1, run, run=run) for run in (1, 2, 3)] + [plain("demo", "doc", 2, 1)]
    for batch in itertools.permutations(tasks):
        assert {(page.page, page.run, len(page.passages)) for page in pages_of(batch)} == {(1, 3, 3), (2, 1, 1)}


def test_a_place_is_shared_by_what_replaces_each_other_and_by_nothing_else() -> None:
    pages = [
        plain("demo", "doc", 1, 1, job="job_a"),
        plain("demo", "doc", 1, 2, job="job_b", run=2),
        plain("demo", "doc", 2, 1),
        plain("demo", "doc", 1, 1, revision=NOW + 1),
        plain("demo", "doc2", 1, 1),
        plain("demo2", "doc", 1, 1),
    ]
    places = [page.place for task in pages for page in pages_of([task])]
    assert places[0] == places[1]
    assert len(set(places)) == 5
    [edited] = pages_of([replace(pages[0], envelope=pages[0].envelope.model_copy(update={"plan": "0" * 16}))])
    assert edited.place == places[0]


def test_drops_stand_beside_the_pages_and_what_is_the_erasers_is_nobody_elses() -> None:
    batch = [plain("demo", "doc", 1, 1), dropped("demo", "doc", NOW + 7), erased("demo", "doc")]
    assert drops_of(batch) == [Drop("demo", "doc", NOW + 7)]
    assert [page.page for page in pages_of(batch)] == [1]
    with pytest.raises(RecordError):
        pages_of([events.read("job_a", 1)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Total: 3,14 EUR", "the total 3 14 eur"),
        ("foo-bar a_b me@home.org", "foo bar a b me home org"),
        ("ÜBER\x00straße 漢字", "über straße 漢字"),
        ("'quoted' \\ & | ! :* <->", "quoted"),
        ("☃ …", ""),
    ],
)
def test_words_are_runs_of_letters_and_digits_in_small_letters(text: str, words: str) -> None:
    assert worded(text) == words

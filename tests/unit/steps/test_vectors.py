"""embed: vectors as they travel."""

import base64
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.steps.embed import encode_vector
from schemas.errors import ModelOutputInvalid


@given(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3).filter(lambda raw: math.hypot(*raw) > 0.1))
def test_a_vector_comes_back_from_its_words(raw: list[float]) -> None:
    unit = [value / math.hypot(*raw) for value in raw]
    back = struct.unpack("<3f", base64.b64decode(encode_vector(unit, 3)))
    assert back == pytest.approx(unit, abs=1e-6)


@pytest.mark.parametrize("vector", [[math.nan, 0, 0], [math.inf, 0, 0], [0.0, 0, 0], [2.0, 0, 0], [1.0, 0]])
def test_a_vector_that_cannot_be_is_refused(vector: list[float]) -> None:
    with pytest.raises(ModelOutputInvalid):
        encode_vector(vector, 3)

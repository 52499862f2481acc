"""A process that grows is told from one that was killed, and from one that only starts."""

import pytest

from tests.faults.slopes import Sample, growths


def _life(pid: int, begin: float, base: float, an_hour: float) -> list[Sample]:
    """Ten minutes of a process that takes 30 MB in its first two."""
    times = [float(second) for second in range(0, 600, 10)]
    return [Sample("ocr-1", pid, begin + at, base + min(at, 120) / 4 + at * an_hour / 3600) for at in times]


def test_the_slope_is_that_of_every_life_alone() -> None:
    (found,) = growths([*_life(1, 0, 300, 6), *_life(2, 600, 100, 6)], warm=120)
    assert found.slope == pytest.approx(6)
    assert found.lives == 2
    assert found.most == pytest.approx(331, abs=1)


def test_a_flat_process_that_was_killed_does_not_grow() -> None:
    (found,) = growths([*_life(1, 0, 100, 0), *_life(2, 600, 300, 0)], warm=120)
    assert found.slope == pytest.approx(0, abs=1e-9)


def test_a_short_life_tells_nothing() -> None:
    (found,) = growths(_life(1, 0, 100, 6)[:10], warm=120)
    assert found.slope is None

"""A short row of the suite, chosen by HEADRACE_FAULT_SEED; `make faults` runs all."""

import random
from collections.abc import Callable, Iterator

import pytest

from tests.faults import seeds, table
from tests.faults.rows import ROWS
from tests.faults.suite import Row, run
from tests.faults.world import PLAIN, World

pytestmark = [
    pytest.mark.stack,
    pytest.mark.alone,
    pytest.mark.needs("toxiproxy-server"),
    pytest.mark.needs("weaviate-server"),
]
_SHORT = (1, 2, 3, 7, 22, 31, 33, 36, 37)
_CHOSEN = ROWS[random.Random(seeds.of()).choice(_SHORT)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("faults") / "world", PLAIN) as made:
        yield made


@pytest.mark.parametrize("row", [_CHOSEN], ids=lambda row: f"row-{row.number}")
def test_a_row_shows_what_it_promises(row: Row, world: World, tell: Callable[[str], None]) -> None:
    outcome = run(row, world, seeds.of())
    tell(table.line(outcome))
    assert outcome.passed, table.line(outcome)

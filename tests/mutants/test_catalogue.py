"""The mutants stay what they are: `make mutants` tries them."""

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import SIMULATION, Mutant

ROOT = Path(__file__).parents[2]


def test_there_are_at_least_25_mutants_of_different_names() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_of_a_mutant_stands_once_in_its_file(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.text) == 1
    assert mutant.wrong != mutant.text
    if mutant.caught_by != SIMULATION:
        file, _, name = mutant.caught_by.partition("::")
        assert f"def {name}" in (ROOT / file).read_text()

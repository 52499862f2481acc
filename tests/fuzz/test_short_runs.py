"""A second of each target: enough that the targets do not rot, and that what is found once is found again."""

import importlib
import random

import pytest

from schemas.errors import InputError
from schemas.media import media_type
from tests.fuzz.__main__ import TARGETS, Run


@pytest.mark.parametrize("name", TARGETS)
def test_the_promise_holds_for_a_second(name: str) -> None:
    run = Run(name, seed=20)
    run.go(1.0)
    assert run.broken == 0
    assert run.codes, "nothing was tried"


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_seed_makes_the_same_inputs(name: str) -> None:
    target = importlib.import_module(f"tests.fuzz.{name}")
    seeds = target.inputs()
    one, other = ([target.mutated(seed, random.Random(5)) for seed in seeds] for _ in range(2))
    assert len(one) > 5
    assert one == other


@pytest.mark.parametrize("name", ["picture", "pdf", "office"])
def test_inputs_are_valid_before_they_are_damaged(name: str) -> None:
    run = Run(name, seed=0)
    for content in importlib.import_module(f"tests.fuzz.{name}").inputs():
        media_type(content)
        assert run.decoded(content) == "pages"
    run.close()


def test_damage_changes_most_inputs_and_keeps_the_type_of_most() -> None:
    target = importlib.import_module("tests.fuzz.picture")
    content, rng = target.inputs()[0], random.Random(1)
    damaged = [target.mutated(content, rng) for _ in range(200)]
    assert sum(made != content for made in damaged) > 190
    assert sum(_is_png(made) for made in damaged) > 150


def _is_png(content: bytes) -> bool:
    try:
        return media_type(content) == "image/png"
    except InputError:
        return False

"""Every promise of docs/guarantees.md and every defence of docs/security.md names what shows it, and that is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.faults.rows import ROWS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text().partition("## What is defended where")[2]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", TEXT + SECURITY)))
SHOWN = [line.strip("|").split("|") for line in (TEXT + SECURITY).splitlines() if re.match(r"\| (?!---)", line)]


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    assert (ROOT / path).exists()
    if function:
        nodes = ast.walk(ast.parse((ROOT / path).read_text()))
        assert function in {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_rows_that_are_named_are_rows_of_the_suite() -> None:
    said = re.findall(r"\brows? ([\d, to and]+)", TEXT)
    assert {int(number) for part in said for number in re.findall(r"\d+", part)} <= ROWS.keys()


def test_every_promise_and_every_fence_has_a_test() -> None:
    heads = {"promise", "effect", "attack"}
    without = [cells[0] for cells in SHOWN if cells[0].strip() not in heads and "`tests/" not in cells[-1]]
    assert without == []

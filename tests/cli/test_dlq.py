"""dlq list, show, edit, redrive and discard: what is asked of the server, printed, and the exit code."""

import json
from pathlib import Path

import pytest

from cli.dlq import State
from cli.errors import Exit
from schemas.codec import decode
from schemas.dead_letters import LetterSummary
from schemas.documents import DiscardRequested, Edits, RedriveRequested
from schemas.plans import PLANS
from schemas.records import Partition, Record
from tests.api.test_dead_letters import kept
from tests.cli.invoking import failure, run
from tests.fakes import World


def ordered(world: World) -> object:
    """The order that reached the log."""
    last = world.publisher.published[-1]
    return decode(Record(Partition(last.topic, 0), 0, 0, last.key, last.value, last.headers, 0))[1]


def test_the_states_are_those_of_a_letter() -> None:
    schema = LetterSummary.model_json_schema()["properties"]["state"]["enum"]
    assert [state.value for state in State] == schema


def test_letters_are_printed_a_line_each(world: World, url: str) -> None:
    name = kept(world)
    result = run("dlq", "list", "--url", url)
    assert result.stdout.split("\t")[:4] == [str(name), "open", "ocr", "c"]
    assert json.loads(run("dlq", "list", "--json", "--url", url).stdout)["id"] == str(name)


def test_a_letter_is_shown_whole(world: World, url: str) -> None:
    shown = run("dlq", "show", kept(world), "--url", url).stdout
    assert "failed in ocr" in shown
    assert '"media_type": "image/png"' in shown


def test_letters_are_redriven_by_name_and_discarded_by_what_they_share(world: World, url: str) -> None:
    name = kept(world)
    assert run("dlq", "redrive", name, "--url", url).stdout == "1 taken\n"
    order = ordered(world)
    assert isinstance(order, RedriveRequested)
    assert (order.letters, order.edits) == ((name,), Edits())
    assert failure(run("dlq", "discard", "--step", "ocr", "--url", url)).code == Exit.USAGE, "nobody could be asked"
    assert run("dlq", "discard", "--step", "ocr", "--yes", "--url", url).exit_code == 0
    assert isinstance(ordered(world), DiscardRequested)


def test_settings_are_json_or_text(world: World, url: str) -> None:
    words = ("--set", "ocr.det_limit_side=1700", "--set", "ocr.line_classifier=true")
    before = set(PLANS)
    result = run("dlq", "edit", kept(world), *words, "--yes", "--url", url)
    assert result.exit_code == 0, result.output
    order = ordered(world)
    assert isinstance(order, RedriveRequested)
    assert order.edits == Edits(settings={"ocr": {"det_limit_side": 1700, "line_classifier": True}})
    assert '-    "det_limit_side": 960,' in result.stderr
    assert '+    "det_limit_side": 1700,' in result.stderr
    for made in set(PLANS) - before:
        del PLANS[made]


def test_a_payload_is_edited_in_the_editor_and_shown_before_it_is_sent(world: World, url: str, tmp_path: Path) -> None:
    name, editor = kept(world), tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/"width": 100/"width": 77/\' "$1"\n')
    editor.chmod(0o755)
    asked = run("dlq", "edit", name, "--url", url, EDITOR=str(editor), VISUAL="")
    assert failure(asked).code == Exit.USAGE, "nobody could be asked"
    assert world.publisher.published == []
    result = run("dlq", "edit", name, "--yes", "--url", url, EDITOR=str(editor), VISUAL="")
    assert '+  "width": 77' in result.stderr
    order = ordered(world)
    assert isinstance(order, RedriveRequested)
    assert order.edits.payload is not None
    assert order.edits.payload["width"] == 77


@pytest.mark.parametrize("editor", ["true", "false", "no-such-editor"])
def test_an_editor_that_changes_nothing_or_fails_sends_nothing(world: World, url: str, editor: str) -> None:
    failure(run("dlq", "edit", kept(world), "--yes", "--url", url, EDITOR=editor, VISUAL=""))
    assert world.publisher.published == []


@pytest.mark.parametrize("words", [(), ("--all", "--step", "ocr"), ("x", "--all")])
def test_an_order_says_in_one_way_which_letters_it_means(url: str, words: tuple[str, ...]) -> None:
    assert failure(run("dlq", "redrive", *words, "--url", url)).code == Exit.USAGE

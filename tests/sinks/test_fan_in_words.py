"""Fan-in without a database: folding, counting, reading of kinds."""

import json

from hypothesis import given
from hypothesis import strategies as st

from schemas.jobs import JobState, judge, needs
from sinks.fan_in import Group, folded, stopping, tally
from sinks.postgres.rows import packed

NEEDED = needs(["pgvector"])
DONE = ("indexed:pgvector", "read")


def whole(*kinds: str, pages: int | None = None, run: int = 1) -> Group:
    return Group(kinds, 1, run, document=True, pages=pages)


@given(st.permutations([(1, "b"), (2, "c"), (2, "a"), (1, "a")]))
def test_folding_keeps_the_highest_run_and_of_it_the_smallest_id_in_any_order(order: list[tuple[int, str]]) -> None:
    rows = [{"job": "j", "run": run, "ce_id": name} for run, name in order]
    assert folded(rows, ["job"]) == [{"job": "j", "run": 2, "ce_id": "a"}]


def test_pages_are_counted_by_their_fate() -> None:
    groups = [
        whole("prepared", "submitted", pages=9),
        Group(DONE, 3, 1),
        Group(("failed", "read"), 2, 1),
        Group(("skipped:expired",), 1, 1),
        Group(("skipped:cancelled", "skipped:expired"), 1, 1),
        Group(("read",), 2, 1),
    ]
    counted = tally(groups, NEEDED)
    assert (counted.pages, counted.read, counted.indexed, counted.failed) == (9, 7, 3, 2)
    assert (counted.skipped, counted.expired) == (2, 1)
    assert stopping(groups)


def test_an_index_that_the_plan_does_not_ask_for_completes_no_page() -> None:
    groups = [whole("prepared", pages=1), Group(("indexed:other", "read"), 1, 1)]
    assert judge(tally(groups, NEEDED)) is JobState.RUNNING
    assert judge(tally(groups, needs(["other"]))) is JobState.SUCCEEDED


def test_a_job_of_which_nothing_but_its_submission_is_known_is_queued() -> None:
    assert judge(tally([whole("submitted")], NEEDED)) is JobState.QUEUED
    assert judge(tally([], NEEDED)) is JobState.QUEUED
    assert judge(tally([Group(("read",), 1, 1)], NEEDED)) is JobState.RUNNING


def test_a_verdict_on_the_document_is_not_renewed_by_pages_of_a_later_run() -> None:
    stray = Group(("read",), 1, 2, repeats=1)
    assert tally([whole("failed"), stray], NEEDED).runs == (1, 0)
    assert tally([whole("prepared", pages=2), stray], NEEDED).runs == (1, 1)


@given(st.text(st.characters(codec=None)))
def test_packed_rows_hold_nothing_that_postgresql_refuses_and_change_nothing_else(text: str) -> None:
    out = packed([{"text": text, "deep": [{"more": text}]}])
    kept = "".join("\ufffd" if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in text)
    assert json.loads(out) == [{"text": kept, "deep": [{"more": kept}]}]
    json.loads(out)[0]["text"].encode()

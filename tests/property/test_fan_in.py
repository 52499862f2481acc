"""Fan-in on a real PostgreSQL: whatever the order, the repeats, the batches and the projectors, a job ends alike."""

import itertools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.jobs import ENDS, TERMINAL, JobState, JobView
from schemas.work import Task
from tests.sinks import events
from tests.sinks.worlds import Turns, World, interleaved

RELAXED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def world(postgres: str) -> Iterator[World]:
    with World.of(postgres) as world:
        yield world


FATES = ("indexed", "failed", "cancelled", "expired")
SHOWN = {"indexed": "succeeded", "failed": "failed", "cancelled": "skipped", "expired": "skipped"}


def page_events(job: str, page: int, fate: str, run: int) -> list[Task]:
    """A page's events on its way to a fate."""
    if fate == "indexed":
        return [events.read(job, page, run=run), events.indexed(job, page, run=run)]
    end = events.failed(job, page, run=run) if fate == "failed" else events.skipped(job, page, fate, run=run)
    return [events.read(job, page, run=run), end] if page % 2 else [end]


def run_events(job: str, fates: Sequence[str], run: int = 1) -> list[Task]:
    """All events of one run, each once; `fates` are the pages'."""
    pages = [page_events(job, page, fate, run) for page, fate in enumerate(fates, 1)]
    return [events.submitted(job, run=run), events.prepared(job, len(fates), run=run), *itertools.chain(*pages)]


def meant(fates: Sequence[str]) -> JobState:
    """What a job of these pages must come to, said without any counting."""
    kinds = set(fates)
    if "cancelled" in kinds:
        return JobState.CANCELLED
    if "expired" in kinds:
        return JobState.EXPIRED
    if kinds == {"indexed"}:
        return JobState.SUCCEEDED
    return JobState.FAILED if kinds == {"failed"} else JobState.PARTIAL


def assert_terminal_states_stay(views: Sequence[JobView]) -> None:
    for before, after in itertools.pairwise(views):
        if before.state in TERMINAL and before.run == after.run:
            assert after.state == before.state
        assert after.run >= before.run


def assert_a_whole_story(story: list[tuple[int, str, int]], fates: Sequence[str], run: int = 1) -> None:
    """Every line once, queued first and the end last; a page that was read may be told so until it came to its end."""
    assert story[0] == (run, "job.queued", 0)
    assert story[-1] == (run, f"job.{meant(fates)}", 0)
    assert len(set(story)) == len(story)
    assert sum(event in ENDS for _, event, _ in story) == 1
    expected = {(run, "job.running", 0), (run, "document.prepared", 0)}
    expected |= {(run, f"page.{SHOWN[fate]}", page) for page, fate in enumerate(fates, 1)}
    read = {(run, "page.read", page) for page, fate in enumerate(fates, 1) if fate == "indexed"}
    optional = {(run, "page.read", page) for page in range(1, len(fates) + 1)} - read
    assert set(story[1:-1]) - optional == expected | read
    for page in (line[2] for line in read):
        assert story.index((run, "page.read", page)) < story.index((run, "page.succeeded", page))


@RELAXED
@given(data=st.data(), fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=4))
def test_any_interleaving_of_writers_pages_and_a_late_page_count_ends_in_the_same_state(
    world: World, data: st.DataObject, fates: list[str]
) -> None:
    job = events.new_job()
    history = run_events(job, fates)
    views = world.play(job, interleaved(data, history))
    assert_terminal_states_stay(views)
    last, state = views[-1], meant(fates)
    assert (last.state, last.run, last.cancelling) == (state, 1, False)
    assert (last.pages_total, last.pages_done) == (len(fates), fates.count("indexed"))
    assert [page.state for page in last.pages] == [fate if fate in FATES[:2] else "skipped" for fate in fates]
    assert (last.filename, last.created_at is not None, last.finished_at is not None) == ("a.pdf", True, True)
    assert world.ends(job) == [(state, 1)]
    assert world.pages(job) == [(page, 1, SHOWN[fate]) for page, fate in enumerate(fates, 1)]
    assert world.rows(job) == world.rows_in_one_batch(job, history=history)
    assert_a_whole_story(world.story(job), fates)


@RELAXED
@given(data=st.data(), fates=st.lists(st.tuples(*[st.sampled_from(FATES[:2])] * 2), min_size=1, max_size=3))
def test_a_retry_mixed_with_its_first_run_ends_as_the_retry_does(
    world: World, data: st.DataObject, fates: list[tuple[str, str]]
) -> None:
    job = events.new_job()
    first = ["failed", *(min(pair) for pair in fates)]  # "failed" < "indexed": a retry does no worse
    second = ["indexed", *(max(pair) for pair in fates)]
    history = [*run_events(job, first, run=1), *run_events(job, second, run=2)]
    views = world.play(job, interleaved(data, history))
    for before, after in itertools.pairwise(views):
        assert before.run <= after.run
        assert before.state is not JobState.SUCCEEDED or after.state is JobState.SUCCEEDED
        if before.state in TERMINAL and after.state != before.state:
            assert after.run == 2, "only the retry's events may reopen a job"
    assert (views[-1].state, views[-1].run) == (meant(second), 2)
    assert world.ends(job)[-1] == (meant(second), 2)
    assert len({run for _, run in world.ends(job)}) == len(world.ends(job))
    told_of = world.pages(job)
    assert len({(page, run) for page, run, _ in told_of}) == len(told_of)
    assert [page for page in told_of if page[1] == 2] == [(n, 2, SHOWN[fate]) for n, fate in enumerate(second, 1)]
    assert world.story(job)[-1] == (2, f"job.{meant(second)}", 0)


@RELAXED
@given(data=st.data(), fates=st.lists(st.tuples(*[st.sampled_from(FATES)] * 2), min_size=1, max_size=3))
def test_a_retry_after_its_first_run_tells_both_runs_whole_whatever_is_repeated_of_the_first(
    world: World, data: st.DataObject, fates: list[tuple[str, str]]
) -> None:
    job = events.new_job()
    first = ["failed", *(pair[0] for pair in fates)]
    second = ["cancelled", *(pair[1] for pair in fates)]
    histories = [run_events(job, first, run=1), run_events(job, second, run=2)]
    world.play(job, interleaved(data, histories[0]))
    world.play(job, interleaved(data, histories[1], repeated=histories[0]))
    assert world.ends(job) == [(meant(first), 1), (meant(second), 2)]
    assert world.pages(job) == sorted(
        (page, run, SHOWN[fate]) for run, of_run in ((1, first), (2, second)) for page, fate in enumerate(of_run, 1)
    )
    story = world.story(job)
    for run, of_run in ((1, first), (2, second)):
        assert_a_whole_story([line for line in story if line[0] == run], of_run, run)
    assert story == sorted(story, key=lambda line: line[0])


@RELAXED
@given(data=st.data(), fates=st.lists(st.sampled_from(FATES[:2]), min_size=1, max_size=3), rounds=st.integers(1, 2))
def test_pages_reopened_by_themselves_end_the_job_anew_and_leave_the_others_as_they_are(
    world: World, data: st.DataObject, fates: list[str], rounds: int
) -> None:
    job, first = events.new_job(), ["indexed", "failed", *fates]
    history = run_events(job, first)
    world.play(job, interleaved(data, history))
    ends, told_of = [("partial", 1)], [(page, 1, SHOWN[fate]) for page, fate in enumerate(first, 1)]
    for run in range(2, rounds + 2):
        fate = "indexed" if run == rounds + 1 else "failed"
        again = [page for page, was in enumerate(first, 1) if was == "failed"]
        steps = itertools.chain(*(page_events(job, page, fate, run) for page in again))
        later = [events.reopened(job, *again, run=run), *steps]
        view = world.play(job, interleaved(data, later, repeated=history))[-1]
        history += later
        ends.append(("succeeded" if fate == "indexed" else "partial", run))
        told_of += [(page, run, SHOWN[fate]) for page in again]
        assert (view.state, view.run) == ends[-1]
        assert world.story(job)[-1] == (run, f"job.{view.state}", 0)
    assert world.ends(job) == ends
    assert world.pages(job) == sorted(told_of)
    assert world.rows(job)["results"] == world.rows_in_one_batch(job, history=history)["results"]


@RELAXED
@given(data=st.data(), pages=st.integers(1, 3))
def test_contradicting_events_never_move_a_job_out_of_where_it_ended(
    world: World, data: st.DataObject, pages: int
) -> None:
    job = events.new_job()
    contradicting = [event for fate in FATES for event in run_events(job, [fate] * pages)]
    history = [*contradicting, events.failed(job, 0), events.skipped(job, 0)]
    views = world.play(job, interleaved(data, history))
    assert_terminal_states_stay(views)
    assert views[-1].state in TERMINAL
    assert world.story(job)[-1] == (1, f"job.{views[-1].state}", 0)
    assert world.ends(job) == [(views[-1].state, 1)]


def test_a_page_in_all_orders_and_all_cuts_succeeds_once(world: World) -> None:
    for order in itertools.permutations(range(4)):
        for cuts in itertools.product((False, True), repeat=3):
            job = events.new_job()
            history = run_events(job, ["indexed"])
            turns: Turns = [([history[order[0]]], [])]
            for number, cut in zip(order[1:], cuts, strict=True):
                if cut:
                    turns.append(([], [history[number]]))
                else:
                    turns[-1][0].append(history[number])
            assert world.play(job, turns)[-1].state is JobState.SUCCEEDED
            assert world.ends(job) == [("succeeded", 1)]

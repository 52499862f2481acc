"""Fan-in on a real PostgreSQL: whatever the order, the repeats, the batches and the projectors, a job ends alike."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.failpoints import Failpoints
from schemas.jobs import TERMINAL, JobState, JobView
from schemas.work import Task
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import events, told
from tests.sinks.databases import fresh

Plan = list[tuple[list[Task], list[Task]]]  # turns: what each of two projectors writes at the same time
RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class World:
    """Two projectors and a reader on one event loop, kept over all examples."""

    runner: asyncio.Runner
    projectors: tuple[Projector, Projector]
    reader: PostgresJobReader
    admin: str

    def play(self, job: str, turns: Plan) -> list[JobView]:
        """Write each turn's two batches at once; the job's view after each turn."""
        return self.runner.run(self._play(job, turns))

    def ends(self, job: str) -> list[tuple[str, int]]:
        """How the runs of a job ended, as subscribers were told."""
        return self.runner.run(told.ends(self.admin, job))

    def pages(self, job: str) -> list[tuple[int, int, str]]:
        """Page, run and fate of the job's pages, as subscribers were told."""
        return self.runner.run(told.pages(self.admin, job))

    def story(self, job: str) -> list[tuple[int, str, int]]:
        """Run, event and part of each line of the job's story."""
        return self.runner.run(told.story(self.admin, job))

    async def _play(self, job: str, turns: Plan) -> list[JobView]:
        views = []
        for batches in turns:
            pairs = zip(self.projectors, batches, strict=True)
            await asyncio.gather(*(projector.write(batch) for projector, batch in pairs if batch))
            views.append(await self.reader.job("demo", job))
        return [view for view in views if view is not None]


@pytest.fixture(scope="module")
def world(postgres: str) -> Iterator[World]:
    database = fresh(postgres)
    with asyncio.Runner() as runner:
        first, second = (Projector(database.sink, Failpoints(f"projector-{n}", None)) for n in (1, 2))
        reader = PostgresJobReader(database.api)
        yield World(runner, (first, second), reader, database.admin)
        for part in (first, second, reader):
            runner.run(part.close())


FATES = ("indexed", "failed", "cancelled", "expired")


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


@st.composite
def interleavings(draw: st.DrawFn, count: int) -> list[tuple[list[int], list[int]]]:
    """Every event's number at least once, some twice, in any order, cut into batches for two projectors at once."""
    repeats = draw(st.lists(st.integers(0, count - 1), max_size=6))
    order = draw(st.permutations([*range(count), *repeats]))
    turns = []
    while order:
        mine, others = draw(st.integers(1, 5)), draw(st.integers(0, 5))
        turns.append((order[:mine], order[mine : mine + others]))
        order = order[mine + others :]
    return turns


def interleaved(data: st.DataObject, history: list[Task]) -> Plan:
    turns = data.draw(interleavings(len(history)))
    return [([history[n] for n in mine], [history[n] for n in others]) for mine, others in turns]


def assert_terminal_states_stay(views: Sequence[JobView]) -> None:
    for before, after in itertools.pairwise(views):
        if before.state in TERMINAL and before.run == after.run:
            assert after.state == before.state
        assert after.run >= before.run


@RELAXED
@given(data=st.data(), fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=4))
def test_any_interleaving_of_writers_pages_and_a_late_page_count_ends_in_the_same_state(
    world: World, data: st.DataObject, fates: list[str]
) -> None:
    job = events.new_job()
    views = world.play(job, interleaved(data, run_events(job, fates)))
    assert_terminal_states_stay(views)
    last, state = views[-1], meant(fates)
    assert (last.state, last.run, last.cancelling) == (state, 1, False)
    assert (last.pages_total, last.pages_done) == (len(fates), fates.count("indexed"))
    assert [page.state for page in last.pages] == [fate if fate in FATES[:2] else "skipped" for fate in fates]
    assert (last.filename, last.created_at is not None, last.finished_at is not None) == ("a.pdf", True, True)
    assert world.ends(job) == [(state, 1)]


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
    assert world.ends(job) == [(views[-1].state, 1)]


def test_a_page_in_all_orders_and_all_cuts_succeeds_once(world: World) -> None:
    for order in itertools.permutations(range(4)):
        for cuts in itertools.product((False, True), repeat=3):
            job = events.new_job()
            history = run_events(job, ["indexed"])
            turns: Plan = [([history[order[0]]], [])]
            for number, cut in zip(order[1:], cuts, strict=True):
                if cut:
                    turns.append(([], [history[number]]))
                else:
                    turns[-1][0].append(history[number])
            assert world.play(job, turns)[-1].state is JobState.SUCCEEDED
            assert world.ends(job) == [("succeeded", 1)]

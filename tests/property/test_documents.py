"""Documents on a real PostgreSQL: in whatever order submissions, work and deletions come, the same is kept of them."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import topics
from schemas.jobs import TERMINAL
from schemas.work import Task
from tests.sinks import events
from tests.sinks.worlds import Rows, World, interleaved

RELAXED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
REVISIONS = (10, 20, 30)


@pytest.fixture(scope="module")
def world(postgres: str) -> Iterator[World]:
    with World.of(postgres) as world:
        yield world


def one_page(document: str, revision: int, job: str, end: str) -> list[Task]:
    """A job of one page, and what came of it."""
    page = [events.read(job, 1), events.indexed(job, 1)] if end == "succeeded" else [events.failed(job, 1)]
    if end == "running":
        page = page[:0]
    return events.about(document, revision, events.submitted(job), events.prepared(job, 1), *page)


def of_the_set(rows: Rows) -> Rows:
    """What does not tell when the deletion came: which work was then to be stopped, and what had been told before."""
    told_of = [row for row in rows["outbox"] if row[3] == topics.RESULTS.name or '"replaced"' in row[-1]]
    return rows | {"outbox": [row[:5] for row in told_of]}


@RELAXED
@given(
    data=st.data(),
    ends=st.lists(st.sampled_from(["succeeded", "failed", "running"]), min_size=1, max_size=3),
    deletions=st.lists(st.sampled_from([5, 10, 25, 40]), max_size=2),
)
def test_what_is_kept_of_a_document_does_not_depend_on_the_order_of_its_story(
    world: World, data: st.DataObject, ends: list[str], deletions: list[int]
) -> None:
    name, jobs = events.new_job(), [events.new_job() for _ in ends]
    history = [events.dropped(name, through) for through in deletions]
    for revision, job, end in zip(REVISIONS, jobs, ends, strict=False):
        history += one_page(name, revision, job, end)
    world.play(jobs[0], interleaved(data, history))
    kept = world.rows(*jobs)
    assert of_the_set(kept) == of_the_set(world.rows_in_one_batch(*jobs, history=history))
    through = max(deletions, default=0)
    alive = [(revision, end) for revision, end in zip(REVISIONS, ends, strict=False) if revision > through]
    assert world.document(name) == {
        "revision": REVISIONS[len(ends) - 1],
        "job": jobs[-1],
        "current": max((revision for revision, end in alive if end == "succeeded"), default=None),
        "dropped": through,
    }
    assert len(kept["results"]) == sum(end == "succeeded" for _, end in alive)


@RELAXED
@given(data=st.data(), end=st.sampled_from(["succeeded", "failed", "running"]))
def test_of_a_deleted_job_the_bytes_are_erased_after_its_end_and_it_is_stopped_until_then(
    world: World, data: st.DataObject, end: str
) -> None:
    name, job = events.new_job(), events.new_job()
    history = [events.dropped(name, 10), *one_page(name, 10, job, end)]
    [view, *_] = reversed(world.play(job, interleaved(data, history)))
    told_of = world.outbox(job, f"demo/{name}")
    names = [announced.name for announced in told_of]
    if view.state in TERMINAL:
        last = max(n for n, announced in enumerate(told_of) if announced.name == "JobErased")
        assert last > names.index("JobEnded")
    else:
        assert (names.count("ControlEntry"), names.count("JobErased")) == (1, 1)
    assert names.count("DocumentDeleted") == 1
    assert names.count("JobErased") <= 2

"""A job's timeline, on a real PostgreSQL: each attempt once, whatever the events' order, of all runs."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import trail
from schemas.errors import BadRequest
from schemas.timeline import JobTimeline, TimelineQuery
from schemas.trail import Attempt
from schemas.work import Task
from sinks.postgres import cursors
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks.databases import Database
from tests.sinks.events import failed, indexed, new_job, prepared, read, skipped, submitted
from tests.sinks.worlds import World, interleaved

PREPARED = Attempt("prepare", 1, 100.0, 0.5, 1.0)
READ = Attempt("ocr", 1, 102.0, 1.0, 2.0)
SLOW = Attempt("chunk", 1, 105.0, 1.0, 0.5, "slow")
CHUNKED = Attempt("chunk", 2, 106.0, 0.5, 0.5)
INDEXED = Attempt("index-pgvector", 1, 108.0, 0.1, 0.2)


def after(task: Task, *attempts: Attempt) -> Task:
    header = (trail.HEADER, trail.packed(attempts))
    return replace(task, record=replace(task.record, headers=(header,)))


def history(job: str) -> list[Task]:
    """Page 1 succeeds, page 2 fails in OCR and succeeds in its second run, page 3 is cancelled."""
    wrong = READ._replace(code="decode_failed")
    later = Attempt("ocr", 1, 200.0, 0.0, 1.0)
    return [
        submitted(job),
        after(prepared(job, 3), PREPARED),
        after(read(job, 1), PREPARED, READ),
        after(indexed(job, 1), PREPARED, READ, SLOW, CHUNKED, INDEXED),
        after(failed(job, 2), PREPARED, wrong),
        after(read(job, 2, run=2), later),
        after(indexed(job, 2, run=2), later, INDEXED._replace(at=202.0)),
        after(skipped(job, 3), PREPARED, READ._replace(code="cancelled")),
    ]


def told(found: JobTimeline) -> list[tuple[int | None, int, list[tuple[str, int, str, str | None]]]]:
    return [
        (part.page, part.run, [(each.step, each.attempt, each.state, each.code) for each in part.attempts])
        for part in found.data
    ]


BEGAN = ("prepare", 1, "succeeded", None)
WHOLE = [
    (None, 1, [BEGAN]),
    (1, 1, [
        BEGAN, ("ocr", 1, "succeeded", None), ("chunk", 1, "retried", "slow"), ("chunk", 2, "succeeded", None),
        ("index-pgvector", 1, "succeeded", None),
    ]),
    (2, 1, [BEGAN, ("ocr", 1, "failed", "decode_failed")]),
    (2, 2, [("ocr", 1, "succeeded", None), ("index-pgvector", 1, "succeeded", None)]),
    (3, 1, [BEGAN, ("ocr", 1, "skipped", "cancelled")]),
]  # fmt: skip


async def timeline(database: Database, job: str, tenant: str = "demo", **query: object) -> JobTimeline:
    reader = PostgresJobReader(database.api)
    try:
        return await reader.timeline(tenant, job, TimelineQuery.model_validate(query))
    finally:
        await reader.close()


async def test_it_is_told_page_by_page_and_run_by_run_and_to_its_tenant_alone(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    await projector.write(history(job))
    found = await timeline(database, job)
    assert told(found) == WHOLE
    assert not found.has_more
    again = found.data[1].attempts[3]
    assert (again.queued_seconds, again.run_seconds) == (0.5, 0.5)
    assert (again.started_at.timestamp(), again.finished_at.timestamp()) == (106.0, 106.5)
    assert told(await timeline(database, job, "other")) == []


async def test_it_is_read_in_parts(database: Database, projector: Projector) -> None:
    job = new_job()
    await projector.write(history(job))
    seen, cursor = [], None
    while True:
        found = await timeline(database, job, limit=2, **({} if cursor is None else {"after": cursor}))
        seen += told(found)
        assert found.has_more == (found.next is not None)
        if (cursor := found.next) is None:
            break
    assert seen == WHOLE
    assert told(await timeline(database, job, page=2)) == WHOLE[2:4]
    assert told(await timeline(database, job, page=2, limit=1, after=cursors.encode("page", 2, "1"))) == WHOLE[3:4]


@pytest.mark.parametrize("cursor", ["x", cursors.encode("revision", 1, "1"), cursors.encode("page", 2**40, "1"),
                                    cursors.encode("page", 1, "x"), cursors.encode("page", 1, "9" * 20)])  # fmt: skip
async def test_a_cursor_of_another_list_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(BadRequest):
        await timeline(database, new_job(), after=cursor)


async def test_what_an_event_cannot_say_harms_nothing(database: Database, projector: Projector) -> None:
    job = new_job()
    strange = replace(read(job, 1).record, headers=((trail.HEADER, b'{"from": "a newer release"}'),))
    await projector.write([submitted(job), prepared(job, 1), replace(read(job, 1), record=strange)])
    assert told(await timeline(database, job)) == []


@pytest.fixture(scope="module")
def world(postgres: str) -> Iterator[World]:
    with World.of(postgres) as world:
        yield world


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_order_any_cuts_and_any_repeats_leave_the_same(world: World, data: st.DataObject) -> None:
    job = new_job()
    events = history(job)
    twice = after(read(job, 1, text="once more"), PREPARED, READ._replace(at=90.0))  # work done again: another id
    world.play(job, interleaved(data, [*events, twice], repeated=events))
    kept = world.rows(job)["trails"]
    assert len(kept) == 7
    assert kept == world.rows_in_one_batch(job, history=[*events, twice])["trails"]

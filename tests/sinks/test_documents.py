"""Documents with revisions and their deletion, on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from schemas import topics
from schemas.documents import JobErased
from schemas.results import DocumentDeleted, JobEnded, PageEnded
from schemas.work import Task
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import events, told
from tests.sinks.databases import NO_FAILPOINTS, Database, rows
from tests.sinks.events import about, dropped, failed, indexed, new_job, prepared, read, skipped, submitted


def whole(document: str, revision: int, job: str) -> list[Task]:
    """A job of one page that succeeds."""
    return about(document, revision, submitted(job), prepared(job, 1), read(job, 1), indexed(job, 1))


async def document(database: Database, name: str) -> tuple[object, ...]:
    """Revision, job, current, dropped."""
    [row] = await rows(
        database.admin, "SELECT revision, job, current, dropped FROM documents WHERE document_id = $1", name
    )
    return tuple(row)


async def kept(database: Database, job: str) -> tuple[bool, str | None, int]:
    """Whether a job counts as deleted, its file's name, how many of its pages' results are stored."""
    [row] = await rows(
        database.admin,
        "SELECT deleted, filename, (SELECT count(*) FROM results WHERE job = id) AS pages FROM jobs WHERE id = $1",
        job,
    )
    return tuple(row)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_newest_submission_names_a_document_and_the_newest_success_is_what_searches_find(
    database: Database, projector: Projector, order: tuple[int, ...]
) -> None:
    name, jobs = new_job(), [new_job() for _ in range(3)]
    histories = [whole(name, revision, job) for revision, job in zip((10, 20), jobs[:2], strict=True)]
    histories.append(about(name, 30, submitted(jobs[2]), failed(jobs[2], 0)))
    for number in order:
        await projector.write(histories[number])
    assert await document(database, name) == (30, jobs[2], 20, 0)
    drops = [a.envelope.revision for a in await told.outbox(database.admin, f"demo/{name}") if a.envelope]
    assert max(drops) == 19
    assert set(drops) <= {9, 19}


async def test_deletion_hides_what_was_kept_announces_itself_and_has_the_bytes_erased(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    name, job = new_job(), new_job()
    await projector.write(whole(name, 10, job))
    [before] = await rows(database.admin, "SELECT count(*) FROM outbox")
    deletion = dropped(name, 15)
    for _ in range(2):
        await projector.write([deletion])
    assert await kept(database, job) == (True, None, 0)
    assert await document(database, name) == (10, job, None, 15)
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.filename) == ("succeeded", None)
    _, deleted, erased = await told.outbox(database.admin, f"demo/{name}")
    assert (deleted.topic, deleted.payload) == (topics.RESULTS.name, DocumentDeleted())
    assert deleted.envelope is not None
    assert (deleted.envelope.job, deleted.envelope.document, deleted.envelope.revision) == ("", name, 15)
    assert (erased.topic, erased.payload) == (topics.DOCUMENTS.name, JobErased(source=f"demo/{job}/source"))
    assert erased.envelope is not None
    assert (erased.envelope.job, erased.envelope.revision, erased.envelope.deadline) == (job, 10, None)
    [after] = await rows(database.admin, "SELECT count(*) FROM outbox")
    assert after["count"] - before["count"] == 2, "of a job that has ended nothing is left to be cancelled"


async def test_a_job_that_is_at_work_when_its_document_is_deleted_is_stopped_and_what_it_does_since_is_not_kept(
    database: Database, projector: Projector
) -> None:
    name, job = new_job(), new_job()
    submission, count, first, done, *late = about(
        name, 10,
        submitted(job), prepared(job, 3), read(job, 1), indexed(job, 1), read(job, 2), indexed(job, 2), skipped(job, 3),
    )  # fmt: skip
    await projector.write([submission, count, first, done])
    await projector.write([dropped(name, 10)])
    orders = [a.value for a in await told.outbox(database.admin, job) if a.topic == topics.CONTROL.name]
    assert [(order["action"], order["run"]) for order in orders] == [("cancel", 1)]
    assert datetime.fromisoformat(orders[0]["until"]) > datetime.now(UTC) + timedelta(days=6), "as its work may lie"
    await projector.write(late)
    assert await kept(database, job) == (True, None, 0)
    found = await told.outbox(database.admin, job)
    texts = [(a.payload.text, a.payload.result) for a in found if isinstance(a.payload, PageEnded)]
    assert texts == [("page 1 run 1", f"/v1/jobs/{job}/pages/1"), (None, None), (None, None)]
    ends = [(a.payload.state, a.payload.filename) for a in found if isinstance(a.payload, JobEnded)]
    assert ends == [("cancelled", None)]
    erasures = [a for a in await told.outbox(database.admin, f"demo/{name}") if isinstance(a.payload, JobErased)]
    assert len(erasures) == 2, "at once, and again after the end: a worker may have written in between"
    assert await document(database, name) == (10, job, None, 10)


async def test_a_submission_that_is_projected_after_its_documents_deletion_is_deleted_too(
    database: Database, projector: Projector
) -> None:
    name, known, unknown = new_job(), new_job(), new_job()
    early = about(name, 10, read(known, 1))  # a stub: its upload's key is not known yet
    await projector.write(early)
    await projector.write([dropped(name, 15)])
    assert [a.name for a in await told.outbox(database.admin, f"demo/{name}")] == ["DocumentDeleted"]
    await projector.write([*about(name, 10, submitted(known)), *about(name, 12, submitted(unknown))])
    for job in (known, unknown):
        assert await kept(database, job) == (True, None, 0)
        assert [a.value["action"] for a in await told.outbox(database.admin, job)] == ["cancel"]
    erased = [a.value for a in await told.outbox(database.admin, f"demo/{name}") if a.name == "JobErased"]
    assert erased == [{"source": f"demo/{job}/source"} for job in (known, unknown)] or erased == [
        {"source": f"demo/{job}/source"} for job in (unknown, known)
    ]


async def test_a_retry_that_slipped_by_a_deletion_is_stopped_as_well(database: Database, projector: Projector) -> None:
    name, job = new_job(), new_job()
    await projector.write(about(name, 10, submitted(job), failed(job, 0)))
    await projector.write([dropped(name, 10)])
    assert [a.name for a in await told.outbox(database.admin, job)] == ["JobEnded"]
    await projector.write(about(name, 10, submitted(job, run=2)))
    assert await kept(database, job) == (True, None, 0)
    orders = [a.value for a in await told.outbox(database.admin, job) if a.topic == topics.CONTROL.name]
    assert [order["run"] for order in orders] == [2]


async def test_a_document_submitted_again_after_its_deletion_lives(database: Database, projector: Projector) -> None:
    name, old, new = new_job(), new_job(), new_job()
    await projector.write(whole(name, 10, old))
    await projector.write([dropped(name, 15), *whole(name, 20, new)])
    await projector.write([dropped(name, 12)])
    assert await document(database, name) == (20, new, 20, 15)
    assert await kept(database, new) == (False, "a.pdf", 1)
    assert await kept(database, old) == (True, None, 0)


async def test_a_late_success_of_a_deleted_revision_is_found_by_no_search(
    database: Database, projector: Projector
) -> None:
    name, job = new_job(), new_job()
    *begun, end = whole(name, 10, job)
    await projector.write(begun)
    await projector.write([dropped(name, 10)])
    await projector.write([end])
    assert await document(database, name) == (10, job, None, 10)


async def test_deleting_what_nobody_submitted_is_remembered_and_says_so_once(
    database: Database, projector: Projector
) -> None:
    name = new_job()
    for through in (7, 7, 9):
        await projector.write([dropped(name, through)])
    assert await document(database, name) == (0, "", None, 9)
    told_of = [a.envelope.revision for a in await told.outbox(database.admin, f"demo/{name}") if a.envelope]
    assert told_of == [7, 9]


async def test_another_tenants_document_of_the_same_name_stays(database: Database, projector: Projector) -> None:
    name, mine, other = new_job(), new_job(), new_job()
    await projector.write([*about(name, 10, submitted(mine)), *about(name, 10, submitted(other, tenant="other"))])
    await projector.write([dropped(name, 10)])
    assert (await kept(database, mine))[0] is True
    assert await kept(database, other) == (False, "a.pdf", 0)


async def test_what_the_projector_put_on_the_log_for_others_is_no_news_to_it(
    database: Database, projector: Projector
) -> None:
    name, job = new_job(), new_job()
    erased = about(name, 10, events.task(job, 0, JobErased(source="demo/x/source")))
    await projector.write([dropped(name, 10, reason="replaced"), *erased])
    assert await rows(database.admin, "SELECT 1 FROM documents WHERE document_id = $1", name) == []
    assert await rows(database.admin, "SELECT 1 FROM jobs WHERE id = $1", job) == []


async def test_a_deletion_and_work_on_its_jobs_at_once_never_leave_a_result_or_a_lock_behind(
    database: Database, projector: Projector
) -> None:
    other = Projector(database.sink, NO_FAILPOINTS)
    for _ in range(15):
        name, jobs = new_job(), [new_job() for _ in range(4)]
        histories = [whole(name, 10 + number, job) for number, job in enumerate(jobs)]
        await asyncio.gather(
            *(writer.write(batch) for batch in histories for writer in (projector, other)),
            other.write([dropped(name, 12)]),
        )
        states = [await kept(database, job) for job in jobs]
        assert states == [(True, None, 0)] * 3 + [(False, "a.pdf", 1)]
        assert await document(database, name) == (13, jobs[3], 13, 12)
    await other.close()

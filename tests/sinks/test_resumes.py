"""Jobs taken up again in the middle: what waits then, what the projector makes of it, and what asking twice changes."""

import json
from dataclasses import replace
from typing import Any, Literal

import pytest

from schemas import topics
from schemas.codec import decode
from schemas.documents import Claim, PagePrepared, PageRead, PagesReopened, ResumeRequested
from schemas.jobs import JobState
from schemas.pages import prepared_key
from schemas.records import Outgoing, Partition, Record
from schemas.work import Task
from sinks.postgres.engine import connect, transaction
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from sinks.resumes import resume
from tests.fakes import FakeBlobs
from tests.sinks import events, told
from tests.sinks.databases import Database, rows
from tests.sinks.events import cancel, failed, indexed, prepared, read, skipped, submitted

PAGE = PagePrepared(image=Claim(key="k", sha256="ab" * 32, size=1), width=10, height=20, media_type="image/png")


def stored(job: str, *pages: int, run: int = 1) -> FakeBlobs:
    return FakeBlobs({prepared_key("demo", job, run, page): PAGE.model_dump_json().encode() for page in pages})


def wanted(job: str, step: Literal["ocr", "chunk"], run: int = 2, lane: str = "interactive") -> Task:
    task = events.task(job, 0, ResumeRequested(step="ocr"), run=run)  # one id, whatever the step
    task = replace(task, payload=ResumeRequested(step=step))
    return replace(task, envelope=task.envelope.model_copy(update={"lane": lane}))


async def ask(database: Database, blobs: FakeBlobs, *tasks: Task) -> None:
    engine = connect(database.sink)
    for task in tasks:
        async with transaction(engine) as connection:
            await resume(connection, blobs, task)
    await engine.dispose()


async def waiting(database: Database, job: str) -> list[tuple[str, int, int, str, Any]]:
    """Topic, page, run, lane and payload of what waits to be released."""
    query = "SELECT topic, key, headers, value, spread FROM waiting_records WHERE job = $1"
    found = []
    for row in await rows(database.admin, query, job):
        headers = tuple((name, value.encode()) for name, value in json.loads(row["headers"]))
        record = Record(Partition(row["topic"], 0), 0, 0, row["key"], row["value"], headers, 0)
        assert row["key"] == job.encode()
        assert row["spread"] is not None
        envelope, payload = decode(record)
        found.append((row["topic"], envelope.part, envelope.run, envelope.lane, payload))
    return sorted(found, key=lambda item: item[1])


async def told_again(database: Database, job: str) -> list[Task]:
    """The events that the relay will put on `headrace.events`."""
    query = "SELECT topic, key, headers, value FROM outbox WHERE job = $1 AND topic = $2 ORDER BY seq"
    tasks = []
    for row in await rows(database.admin, query, job, topics.EVENTS.name):
        headers = tuple((name, value.encode()) for name, value in json.loads(row["headers"]))
        out = Outgoing(row["topic"], row["key"].encode(), row["value"].encode(), headers)
        record = Record(Partition(out.topic, 0), 0, 0, out.key, out.value, out.headers, 0)
        tasks.append(Task(*decode(record), record))
    return tasks


async def test_what_did_not_succeed_waits_with_its_stored_output_and_ends_the_job_anew(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    done = [read(job, 1), indexed(job, 1)]
    await projector.write([submitted(job), prepared(job, 3), *done, failed(job, 2), read(job, 3), failed(job, 3)])
    blobs = stored(job, 1, 2, 3)
    await ask(database, blobs, wanted(job, "ocr"))
    topic = topics.OCR_INTERACTIVE.name
    assert await waiting(database, job) == [(topic, 2, 2, "interactive", PAGE), (topic, 3, 2, "interactive", PAGE)]
    again = await told_again(database, job)
    assert [(task.payload, task.envelope.run) for task in again] == [(PagesReopened(pages=(2, 3), step="ocr"), 2)]
    await projector.write(again)
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.run, [page.state for page in view.pages]) == (
        JobState.RUNNING, 2, ["indexed", "queued", "queued"],
    )  # fmt: skip
    await projector.write([step for page in (2, 3) for step in (read(job, page, run=2), indexed(job, page, run=2))])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.run, view.pages_done, view.errors) == (JobState.SUCCEEDED, 2, 3, [])
    assert await told.ends(database.admin, job) == [("partial", 1), ("succeeded", 2)]


async def test_from_chunk_goes_what_was_read_and_stays_read_without_being_read_again(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([submitted(job), prepared(job, 3), read(job, 1), failed(job, 1), failed(job, 2)])
    await projector.write([skipped(job, 3)])
    await ask(database, stored(job, 1, 2), wanted(job, "chunk"))
    first, second = await waiting(database, job)
    assert (first[0], first[1], isinstance(first[4], PageRead)) == (topics.CHUNK.name, 1, True)
    assert (second[0], second[1]) == (topics.OCR_INTERACTIVE.name, 2), "a page never read goes on from its picture"
    await projector.write(await told_again(database, job))
    await projector.write([indexed(job, 1, run=2), read(job, 2, run=2), indexed(job, 2, run=2)])
    view = await reader.job("demo", job)
    assert view is not None
    assert [page.state for page in view.pages] == ["indexed", "indexed", "skipped"], "nothing is stored of page 3"
    assert (view.state, view.run) == (JobState.CANCELLED, 2)
    result = await reader.result("demo", job)
    assert result is not None
    assert [page.page for page in result.pages] == [1, 2]
    assert (1, 2, "succeeded") in await told.pages(database.admin, job)


@pytest.mark.parametrize("order", [("ocr", "ocr"), ("ocr", "chunk"), ("chunk", "ocr")])
async def test_asking_twice_is_one_run(
    database: Database, projector: Projector, order: tuple[Literal["ocr", "chunk"], Literal["ocr", "chunk"]]
) -> None:
    job = events.new_job()
    await projector.write([submitted(job), prepared(job, 1), read(job, 1), failed(job, 1)])
    blobs = stored(job, 1)
    await ask(database, blobs, *(wanted(job, step) for step in order))
    assert len(await waiting(database, job)) == 1
    again = await told_again(database, job)
    assert sum(isinstance(task.payload, PagesReopened) for task in again) == 1
    await projector.write(again)
    await rows(database.admin, "DELETE FROM waiting_records WHERE job = $1", job)  # released
    await ask(database, blobs, wanted(job, order[0]))
    assert await waiting(database, job) == [], "what is in this run already is not taken up again"


async def test_nothing_of_a_job_that_was_never_counted_deleted_or_begun_anew_waits(
    database: Database, projector: Projector
) -> None:
    uncounted, deleted, anew = (events.new_job() for _ in range(3))
    await projector.write([submitted(uncounted), failed(uncounted, 1)])
    await projector.write([submitted(deleted), prepared(deleted, 1), failed(deleted, 1)])
    await projector.write([events.dropped(f"doc-{deleted}", 5)])
    await projector.write([submitted(anew), prepared(anew, 1), failed(anew, 1), submitted(anew, run=2)])
    for job in (uncounted, deleted, anew):
        await ask(database, stored(job, 1), wanted(job, "ocr"))
        assert await waiting(database, job) == []


async def test_a_job_that_was_cancelled_and_resumed_is_no_longer_being_cancelled_and_can_be_again(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([submitted(job), prepared(job, 2), read(job, 1), indexed(job, 1), cancel(job)])
    await projector.write([skipped(job, 2)])
    await ask(database, stored(job, 2), wanted(job, "ocr"))
    await projector.write(await told_again(database, job))
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.run, view.cancelling) == (JobState.RUNNING, 2, False)
    await projector.write([cancel(job, run=2)])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.cancelling, view.pages_done) == (JobState.RUNNING, True, 1)
    await projector.write([skipped(job, 2, run=2)])
    assert await told.ends(database.admin, job) == [("cancelled", 1), ("cancelled", 2)]


async def test_more_than_a_slice_of_pages_goes_on_in_the_bulk_lane(database: Database, projector: Projector) -> None:
    job = events.new_job()
    await projector.write([submitted(job), prepared(job, 40), *(failed(job, page) for page in range(1, 41))])
    await ask(database, stored(job, *range(1, 41)), wanted(job, "ocr"))
    assert {item[:4] for item in await waiting(database, job)} == {
        (topics.OCR.name, page, 2, "bulk") for page in range(1, 41)
    }

"""A job's story, on a real PostgreSQL: what a caller reads of it, line by line."""

import asyncio
import json

from sinks.projector import Projector
from tests.sinks import told
from tests.sinks.databases import NO_FAILPOINTS, Database, rows
from tests.sinks.events import cancel, failed, indexed, new_job, prepared, read, skipped, submitted


async def test_a_story_goes_from_queued_to_its_end_with_pages_in_order(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    await projector.write([submitted(job)])
    await projector.write([read(job, 2), read(job, 1), indexed(job, 1), prepared(job, 3)])
    await projector.write([indexed(job, 2), failed(job, 3)])
    assert await told.story(database.admin, job) == [
        (1, "job.queued", 0),
        (1, "job.running", 0),
        (1, "document.prepared", 0),
        (1, "page.read", 1),
        (1, "page.succeeded", 1),
        (1, "page.read", 2),
        (1, "page.succeeded", 2),
        (1, "page.failed", 3),
        (1, "job.partial", 0),
    ]
    found = await rows(database.admin, "SELECT event, data FROM job_events WHERE job = $1", job)
    data = {row["event"]: json.loads(row["data"]) for row in found}
    assert data["document.prepared"] == {"pages": 3}
    assert data["page.failed"] == {"step": "ocr", "code": "decode_failed", "detail": "it broke"}
    assert data["page.succeeded"] == data["job.partial"] == {}


async def test_a_line_tells_when_its_event_was_and_not_when_it_was_projected(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    history = [submitted(job), prepared(job, 2), read(job, 2), indexed(job, 2), failed(job, 1)]
    await projector.write(history)
    found = await rows(database.admin, "SELECT event, at FROM job_events WHERE job = $1", job)
    times = {row["event"]: row["at"] for row in found}
    assert times["job.queued"] == times["document.prepared"] == history[0].envelope.at
    assert times["page.read"] == times["page.succeeded"] == times["job.partial"] == history[2].envelope.at
    assert times["page.failed"] == history[4].envelope.at


async def test_nothing_is_told_after_the_end_of_a_run_until_the_next_begins(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    await projector.write([prepared(job, 2), failed(job, 0)])
    await projector.write([submitted(job), read(job, 1), indexed(job, 1), cancel(job)])
    first = [(1, "job.queued", 0), (1, "job.running", 0), (1, "document.prepared", 0), (1, "job.failed", 0)]
    assert await told.story(database.admin, job) == first
    await projector.write([submitted(job, run=2)])
    await projector.write([read(job, 2), cancel(job, run=2)])
    await projector.write([skipped(job, 0, run=2)])
    second = [(2, "job.queued", 0), (2, "job.cancelling", 0), (2, "job.cancelled", 0)]
    assert await told.story(database.admin, job) == first + second


async def test_of_two_projectors_at_once_neither_leaves_a_gap_nor_tells_twice(
    database: Database, projector: Projector
) -> None:
    job, pages = new_job(), 12
    other = Projector(database.sink, NO_FAILPOINTS)
    await projector.write([prepared(job, pages)])
    batches = [[step(job, page) for step in (read, indexed)] for page in range(1, pages + 1)]
    await asyncio.gather(*((projector, other)[n % 2].write(batch) for n, batch in enumerate([*batches, *batches])))
    await other.close()
    story = await told.story(database.admin, job)
    assert len(set(story)) == len(story) == 3 + 2 * pages + 1
    assert story[-1] == (1, "job.succeeded", 0)


async def test_a_cancelled_job_shows_that_it_is_being_cancelled_until_it_ends(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    seen = []
    for batch in ([submitted(job)], [cancel(job)], [cancel(job)], [skipped(job, 0)], [submitted(job, run=2)]):
        await projector.write(batch)
        [row] = await rows(database.admin, "SELECT state, cancelling, started_at FROM jobs WHERE id = $1", job)
        seen.append((row["state"], row["cancelling"]))
    assert seen == [
        ("queued", False), ("queued", True), ("queued", True), ("cancelled", False), ("queued", False),
    ]  # fmt: skip


async def test_a_cancel_that_came_too_late_leaves_the_job_as_it_ended(database: Database, projector: Projector) -> None:
    job = new_job()
    await projector.write([submitted(job), prepared(job, 1), read(job, 1), indexed(job, 1)])
    before = await rows(database.admin, "SELECT * FROM jobs WHERE id = $1", job)
    await projector.write([cancel(job)])
    assert await rows(database.admin, "SELECT * FROM jobs WHERE id = $1", job) == before

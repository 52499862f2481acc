"""What subscribers and indexes are told, on a real PostgreSQL."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from schemas import topics
from schemas.documents import Claim, DocumentDropped, PageRead
from schemas.envelope import NAMESPACE
from schemas.errors import DependencyDown
from schemas.failpoints import Failpoints, Window
from schemas.jobs import Failure, JobState
from schemas.plans import document
from schemas.results import INLINE_BYTES, JobEnded, PageEnded, PublicClaim
from sinks.projector import Projector
from tests.sinks import events, told
from tests.sinks.databases import Database, rows
from tests.sinks.events import about, failed, indexed, new_job, prepared, read, skipped, submitted

PICTURE = Claim(key="demo/j/pages/1/00001.png", sha256="cd" * 32, size=9)


async def test_a_page_and_its_job_are_announced_with_all_that_a_subscriber_asks_for(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    page = events.task(
        job, 1, PageRead(width=1, height=2, image=PICTURE, lines=(events.line("é"),), engine=events.STAMP)
    )
    await projector.write(about("d", 7, submitted(job), prepared(job, 1), page, indexed(job, 1)))
    ended, whole = (a for a in await told.outbox(database.admin, job))
    image = PublicClaim(url=f"/v1/jobs/{job}/pages/1/image", media_type="image/png", sha256="cd" * 32, size=9)
    result = f"/v1/jobs/{job}/pages/1"
    assert ended.payload == PageEnded(state="succeeded", result=result, text="é", image=image)
    at = page.envelope.at
    assert whole.payload == JobEnded(
        state=JobState.SUCCEEDED,
        filename="a.pdf",
        pages_total=1,
        pages_succeeded=1,
        result=f"/v1/jobs/{job}/result",
        finished_at=at,
    )
    for announced, part in ((ended, 1), (whole, 0)):
        envelope = announced.envelope
        assert envelope is not None
        assert (announced.topic, announced.key) == (topics.RESULTS.name, job)
        assert announced.id == str(uuid.uuid5(NAMESPACE, f"{job}|1|{part}|{envelope.kind}"))
        assert (envelope.tenant, envelope.document, envelope.revision, envelope.run) == ("demo", "d", 7, 1)
        assert (envelope.part, envelope.at) == (part, at)


@pytest.mark.parametrize(("length", "inline"), [(INLINE_BYTES // 2, True), (INLINE_BYTES // 2 + 1, False)])
async def test_a_text_of_64_kib_is_passed_on_and_a_longer_one_is_fetched(
    database: Database, projector: Projector, length: int, inline: bool
) -> None:
    job, text = new_job(), "é" * length
    await projector.write([prepared(job, 1), read(job, 1, text=text), indexed(job, 1)])
    payload = (await told.outbox(database.admin, job))[0].payload
    assert isinstance(payload, PageEnded)
    assert (payload.text, payload.result) == (text if inline else None, f"/v1/jobs/{job}/pages/1")


async def test_pages_that_failed_or_were_skipped_say_so_before_their_job_does(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    await projector.write([prepared(job, 3), read(job, 1), failed(job, 1), skipped(job, 2)])
    await projector.write([read(job, 3), indexed(job, 3)])
    found = [a.payload for a in await told.outbox(database.admin, job)]
    error = Failure(page=1, step="ocr", code="decode_failed", detail="it broke")
    assert found[:2] == [PageEnded(state="failed", error=error), PageEnded(state="skipped")]
    assert [payload.kind() for payload in found[2:] if payload] == [PageEnded.kind(), JobEnded.kind()]


async def test_each_page_of_each_run_is_announced_once_with_the_text_of_its_run(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    first = [submitted(job), prepared(job, 2), read(job, 1), indexed(job, 1), failed(job, 2)]
    second = [
        submitted(job, run=2), prepared(job, 2, run=2),
        *(step(job, page, run=2) for page in (1, 2) for step in (read, indexed)),
    ]  # fmt: skip
    for batch in (first, second, [*first, *second]):
        await projector.write(batch)
    assert await told.pages(database.admin, job) == [
        (1, 1, "succeeded"), (1, 2, "succeeded"), (2, 1, "failed"), (2, 2, "succeeded"),
    ]  # fmt: skip
    texts = [a.payload.text for a in await told.outbox(database.admin, job) if isinstance(a.payload, PageEnded)]
    assert texts == ["page 1 run 1", None, "page 1 run 2", "page 2 run 2"]
    assert await told.ends(database.admin, job) == [("partial", 1), ("succeeded", 2)]


async def test_pages_of_a_run_heard_of_before_its_document_end_no_run(database: Database, projector: Projector) -> None:
    job = new_job()
    await projector.write([submitted(job), prepared(job, 1), failed(job, 1)])
    await projector.write([read(job, 1, run=2), indexed(job, 1, run=2)])
    assert await told.ends(database.admin, job) == [("failed", 1)]
    await projector.write([prepared(job, 1, run=2)])
    assert await told.ends(database.admin, job) == [("failed", 1), ("succeeded", 2)]
    assert [line for line in await told.story(database.admin, job) if line[1].startswith("job.")] == [
        (1, "job.queued", 0), (1, "job.running", 0), (1, "job.failed", 0),
        (2, "job.queued", 0), (2, "job.running", 0), (2, "job.succeeded", 0),
    ]  # fmt: skip


async def test_an_index_that_runs_but_is_not_required_holds_no_page_and_announces_none(
    database: Database, projector: Projector
) -> None:
    job = new_job()
    await projector.write([submitted(job), prepared(job, 2), read(job, 1), read(job, 2)])
    await projector.write([indexed(job, 1, index="weaviate"), indexed(job, 2)])
    assert await told.pages(database.admin, job) == [(2, 1, "succeeded")]
    await projector.write([indexed(job, 1)])
    assert await told.ends(database.admin, job) == [("succeeded", 1)]


async def test_where_both_indexes_are_required_a_page_waits_for_both(database: Database, projector: Projector) -> None:
    job, plan = new_job(), document(["weaviate", "pgvector"]).hash
    history = [submitted(job), prepared(job, 1), read(job, 1), indexed(job, 1), indexed(job, 1, index="weaviate")]
    planned = [replace(task, envelope=task.envelope.model_copy(update={"plan": plan})) for task in history]
    await projector.write(planned[:-1])
    assert await told.outbox(database.admin, job) == []
    await projector.write(planned[-1:])
    assert await told.ends(database.admin, job) == [("succeeded", 1)]


async def test_a_revision_that_succeeds_replaces_those_before_it_whatever_its_deadline(
    database: Database, projector: Projector
) -> None:
    job, name = new_job(), new_job()
    history = about(name, 5, submitted(job), prepared(job, 1), read(job, 1), indexed(job, 1))
    late = {"deadline": events.BEGAN + timedelta(seconds=1)}
    await projector.write([replace(task, envelope=task.envelope.model_copy(update=late)) for task in history])
    [drop] = await told.outbox(database.admin, f"demo/{name}")
    assert (drop.topic, drop.payload) == (topics.DOCUMENTS.name, DocumentDropped(reason="replaced"))
    envelope = drop.envelope
    assert envelope is not None
    assert (envelope.job, envelope.document, envelope.revision, envelope.part, envelope.run) == ("", name, 4, 0, 1)
    assert envelope.deadline is None, "a worker would skip it as expired"


@pytest.mark.parametrize("end", [failed, skipped])
async def test_a_revision_that_did_not_wholly_succeed_replaces_nothing(
    database: Database, projector: Projector, end: events.Ending
) -> None:
    job, name = new_job(), new_job()
    history = [submitted(job), prepared(job, 2), read(job, 1), indexed(job, 1), end(job, 2)]
    await projector.write(about(name, 5, *history))
    assert await told.outbox(database.admin, f"demo/{name}") == []
    [row] = await rows(database.admin, "SELECT revision, job, current FROM documents WHERE document_id = $1", name)
    assert tuple(row) == (5, job, None)


class _Failing(Failpoints):
    def reach(self, window: Window, at: str) -> None:
        raise DependencyDown("the power went")


async def test_who_waits_is_woken_by_a_batch_that_is_kept_and_by_no_other(
    database: Database, projector: Projector
) -> None:
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    listener = await asyncpg.connect(database.api)
    for channel in ("headrace_outbox", "headrace_jobs"):
        await listener.add_listener(channel, lambda _, __, channel, payload: heard.put_nowait((channel, payload)))
    lost, job = new_job(), new_job()
    breaking = Projector(database.sink, _Failing("projector-1", None))
    with pytest.raises(DependencyDown):
        await breaking.write([prepared(lost, 1), failed(lost, 1)])
    await breaking.close()
    await projector.write([submitted(job)])
    assert await asyncio.wait_for(heard.get(), 10) == ("headrace_jobs", job)
    await projector.write([failed(job, 0)])
    said = {await asyncio.wait_for(heard.get(), 10) for _ in range(2)}
    assert said == {("headrace_jobs", job), ("headrace_outbox", "")}
    await projector.write([failed(job, 0), submitted(job)])
    await projector.write([submitted(last := new_job())])
    assert await asyncio.wait_for(heard.get(), 10) == ("headrace_jobs", last), "a repeat woke somebody"
    await listener.close()

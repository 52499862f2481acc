"""The doors on what the real projector writes: a job followed, listed, and gone with its document."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import httpx2
import pytest

from sinks.postgres.listener import JobListener
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.api.followed import follow, serving, within
from tests.fakes import World
from tests.sinks import events
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def projector(database: Database) -> AsyncIterator[Projector]:
    projector = Projector(database.sink, NO_FAILPOINTS)
    await projector.open()
    yield projector
    await projector.close()


@pytest.fixture
async def caller(world: World, database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller of an API process that reads what the projector wrote."""
    reader, bell = PostgresJobReader(database.api), JobListener(database.api)
    parts = dataclasses.replace(world.parts(), jobs=reader, bell=bell, closers=(bell.close, reader.close))
    async with serving(parts) as (client, _):
        await within(5, lambda: bell.listening, "the listener listens")
        yield client


async def test_a_jobs_life_is_followed_from_its_projection_to_its_end(
    world: World, projector: Projector, caller: httpx2.AsyncClient
) -> None:
    job = world.ids.issue("demo")
    following = asyncio.create_task(follow(caller, job))
    for task in (
        events.submitted(job, document="a/b"), events.prepared(job, 2), events.read(job, 1), events.indexed(job, 1),
        events.read(job, 2), events.indexed(job, 2),
    ):  # fmt: skip
        await projector.write([task])
    seen = await asyncio.wait_for(following, 10)
    assert seen.seqs == list(range(1, len(seen.seqs) + 1))
    names = [(event.event, event.page) for event in seen.events]
    assert (names[0], names[-1]) == (("job.queued", None), ("job.succeeded", None))
    assert {("page.read", 1), ("page.succeeded", 1), ("page.read", 2), ("page.succeeded", 2)} < set(names)
    [listed] = (await caller.get("/v1/jobs?document_id=a/b&order=finished_at")).json()["data"]
    assert (listed["id"], listed["state"], listed["pages_total"]) == (job, "succeeded", 2)
    document = (await caller.get("/v1/documents/a%2Fb")).json()
    assert (document["job"], document["state"], document["current"]) == (job, "succeeded", document["revision"])
    page = (await caller.get(f"/v1/jobs/{job}/pages/2")).json()
    assert (page["page"], page["text"]) == (2, "page 2 run 1")
    assert (await caller.get(f"/v1/jobs/{job}/pages/3")).status_code == 404


async def test_a_cancelled_job_says_so_and_its_next_run_goes_on_with_the_story(
    world: World, projector: Projector, caller: httpx2.AsyncClient
) -> None:
    job = world.ids.issue("demo")
    await projector.write([events.submitted(job), events.prepared(job, 1)])
    assert (await caller.post(f"/v1/jobs/{job}/cancel")).status_code == 202
    await projector.write([events.cancel(job)])
    assert (await caller.get(f"/v1/jobs/{job}")).json()["cancelling"] is True
    await projector.write([events.skipped(job, 1)])
    first = await follow(caller, job)
    assert first.names[-2:] == ["page.skipped", "job.cancelled"]
    assert "job.cancelling" in first.names
    assert (await caller.post(f"/v1/jobs/{job}/cancel")).json()["code"] == "job_ended"
    retried = await caller.post(f"/v1/jobs/{job}/retry")
    assert (retried.status_code, retried.json()["run"]) == (202, 2)
    following = asyncio.create_task(follow(caller, job, last=first.seqs[-1], run=2))
    await projector.write([events.submitted(job, run=2), events.prepared(job, 1, run=2)])
    await projector.write([events.read(job, 1, run=2), events.indexed(job, 1, run=2)])
    second = await asyncio.wait_for(following, 10)
    assert second.seqs[0] == first.seqs[-1] + 1
    assert second.names[-1] == "job.succeeded"
    assert {event.run for event in second.events} == {2}


async def test_with_its_document_everything_of_a_job_but_its_state_is_gone(
    world: World, projector: Projector, caller: httpx2.AsyncClient
) -> None:
    job = world.ids.issue("demo")
    await projector.write([events.submitted(job, document="gone"), events.prepared(job, 1), events.read(job, 1)])
    await projector.write([events.indexed(job, 1)])
    assert (await caller.get(f"/v1/jobs/{job}/result")).status_code == 200
    await projector.write([events.dropped("gone", 2**50)])
    for path in ("/result", "/pages/1", "/pages/1/image"):
        gone = await caller.get(f"/v1/jobs/{job}{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "gone"), path
    view = (await caller.get(f"/v1/jobs/{job}")).json()
    assert (view["state"], view["deleted"], view["filename"]) == ("succeeded", True, None)
    assert (await caller.get("/v1/documents/gone")).status_code == 404
    assert "gone" not in [document["document_id"] for document in (await caller.get("/v1/documents")).json()["data"]]
    retried = await caller.post(f"/v1/jobs/{job}/retry")
    assert retried.status_code in (409, 410)

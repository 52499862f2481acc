"""Many jobs at once: stopped or run again, by name or by what they have in common."""

from typing import Any

import httpx2
import pytest

from schemas import topics
from schemas.codec import decode
from schemas.documents import CancelRequested, JobSubmitted
from schemas.job_choice import MOST_AT_ONCE, ChosenJobs
from schemas.jobs import JobFilter, JobState
from schemas.records import Partition, Record
from sinks.postgres.reader import PostgresJobReader
from tests.api.stories import Scribe
from tests.api.test_control import known
from tests.fakes import World
from tests.sinks.databases import Database, fresh


def _read(world: World, topic: str) -> list[Any]:
    at = Partition(topic, 0)
    return [
        decode(Record(at, 0, 0, one.key, one.value, one.headers, 0))
        for one in world.publisher.published
        if one.topic == topic
    ]


async def test_those_that_go_on_are_stopped_and_others_passed_over(world: World, client: httpx2.AsyncClient) -> None:
    running, queued = known(world, JobState.RUNNING, run=2), known(world, JobState.QUEUED)
    known(world, JobState.SUCCEEDED)
    answer = await client.post("/v1/jobs/cancel", json={"all": True})
    assert (answer.status_code, answer.json()) == (202, {"taken": 2, "more": False})
    orders = {one.key for one in world.publisher.published if one.topic == topics.CONTROL.name}
    assert orders == {running.encode(), queued.encode()}
    said = {
        (envelope.job, envelope.run)
        for envelope, payload in _read(world, topics.EVENTS.name)
        if isinstance(payload, CancelRequested)
    }
    assert said == {(running, 2), (queued, 1)}


async def test_those_without_success_are_run_again_as_one_alone_is(world: World, client: httpx2.AsyncClient) -> None:
    failed, partial = known(world, JobState.FAILED), known(world, JobState.PARTIAL, run=3)
    known(world, JobState.SUCCEEDED), known(world, JobState.RUNNING), known(world, JobState.FAILED, deleted=True)
    known(world, JobState.FAILED, source=None), known(world, JobState.FAILED, plan="0" * 16)
    answer = await client.post("/v1/jobs/retry", json={"all": True})
    assert (answer.status_code, answer.json()) == (202, {"taken": 2, "more": False})
    made = _read(world, topics.JOBS.name)
    assert {(envelope.job, envelope.run) for envelope, _ in made} == {(failed, 2), (partial, 4)}
    assert all(isinstance(payload, JobSubmitted) for _, payload in made)
    alone = World()
    alone.jobs.submissions = {("demo", failed): world.jobs.submissions["demo", failed]}
    many = {envelope.job: envelope.id for envelope, _ in made}
    await client.post(f"/v1/jobs/{failed}/retry")
    again = _read(world, topics.JOBS.name)[-1][0]
    assert many[failed] == again.id, "whoever asks, a run has one id"


async def test_an_order_takes_a_thousand_and_says_that_there_are_more(world: World, client: httpx2.AsyncClient) -> None:
    for _ in range(MOST_AT_ONCE + 3):
        known(world, JobState.RUNNING)
    assert (await client.post("/v1/jobs/cancel", json={"all": True})).json() == {"taken": MOST_AT_ONCE, "more": True}


async def test_named_jobs_are_the_callers_own(world: World, client: httpx2.AsyncClient) -> None:
    ours, theirs = known(world, JobState.RUNNING), world.ids.issue("other")
    assert (await client.post("/v1/jobs/cancel", json={"jobs": [ours]})).json() == {"taken": 1, "more": False}
    for foreign in (theirs, "job_made_up"):
        answer = await client.post("/v1/jobs/cancel", json={"jobs": [ours, foreign]})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all": False},
        {"all": True, "where": {}},
        {"where": {"state": ["done"]}},
        {"where": {"size": 3}},
    ],
)
async def test_an_order_that_says_nothing_clear_is_refused(client: httpx2.AsyncClient, body: object) -> None:
    for verb in ("cancel", "retry"):
        assert (await client.post(f"/v1/jobs/{verb}", json=body)).status_code == 422


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize("count", [MOST_AT_ONCE + 1, 100_000])
async def test_an_order_names_a_thousand_jobs_at_most(
    world: World, client: httpx2.AsyncClient, verb: str, count: int
) -> None:
    answer = await client.post(f"/v1/jobs/{verb}", json={"jobs": ["job_x"] * count})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [("/jobs", "too_long")]
    assert world.publisher.published == []


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_a_hundred_thousand_real_ids_are_more_than_is_read(
    world: World, client: httpx2.AsyncClient, verb: str
) -> None:
    job = known(world, JobState.RUNNING)
    assert (await client.post(f"/v1/jobs/{verb}", json={"jobs": [job] * MOST_AT_ONCE})).status_code == 202
    world.publisher.published.clear()
    answer = await client.post(f"/v1/jobs/{verb}", json={"jobs": [job] * 100_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert world.publisher.published == []


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


async def test_what_is_chosen_is_what_fits_oldest_first(database: Database) -> None:
    async with Scribe(database.sink) as scribe:
        made: dict[str, Any] = {"source_key": "demo/x/source", "source_sha256": "ab" * 32, "source_size": 7}
        old = await scribe.job(second=1, state="failed", tags=["a", "b"], **made)
        new = await scribe.job(second=3, state="failed", tags=["a"], lane="bulk", **made)
        running = await scribe.job(second=2, state="running", **made)
        await scribe.job(second=4, state="running", cancelling=True, **made)
        await scribe.job(second=5, state="failed", deleted=True, **made)
        await scribe.job(second=6, state="failed", tenant="other", tags=["a"], **made)
    reader = PostgresJobReader(database.api)
    failed, stoppable = frozenset({JobState.FAILED}), frozenset({JobState.QUEUED, JobState.RUNNING})

    async def chosen(meant: ChosenJobs, states: frozenset[JobState], most: int = 10) -> list[str]:
        return [job for job, _ in await reader.chosen("demo", meant, states, most)]

    everything = ChosenJobs(all=True)
    assert await chosen(everything, failed) == [old, new]
    assert await chosen(everything, failed, 1) == [old]
    assert await chosen(everything, stoppable) == [running]
    assert await chosen(ChosenJobs(where=JobFilter(tag=("a", "b"))), failed) == [old]
    assert await chosen(ChosenJobs(where=JobFilter(lane="bulk")), failed) == [new]
    assert await chosen(ChosenJobs(jobs=(new, running)), failed) == [new]
    [(_, submission), _] = await reader.chosen("demo", everything, failed, 10)
    assert submission.source is not None
    assert (submission.state, submission.source.key) == (JobState.FAILED, "demo/x/source")
    await reader.close()

"""Stopping a job and running it again: what reaches the log, and what a caller is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from schemas import topics
from schemas.codec import decode
from schemas.control import ControlEntry, LaneLoad, LoadReport
from schemas.documents import CancelRequested, Claim, JobSubmitted, ResumeRequested
from schemas.envelope import Envelope
from schemas.jobs import TERMINAL, JobState, JobView, PageProgress
from schemas.pages import prepared_key
from schemas.plans import document
from schemas.ports import Submission
from schemas.records import Outgoing, Partition, Record
from tests.fakes import World

SOURCE = Claim(key="demo/x/source", sha256="ab" * 32, size=7)
RETRYABLE = {JobState.FAILED, JobState.PARTIAL, JobState.CANCELLED, JobState.EXPIRED}


def known(world: World, state: JobState, **fields: Any) -> str:
    """A job of tenant demo that the projector has seen."""
    job = world.ids.issue("demo")
    shown = {"run": 1, "document_id": "a/b", "revision": 77, "deadline": None, "deleted": False} | fields
    viewed = {name: value for name, value in shown.items() if name != "prepared"}
    world.jobs.views["demo", job] = JobView(id=job, state=state, filename="a.pdf", pages=[], **viewed)
    kept: dict[str, Any] = {"plan": document(("weaviate",)).hash, "lane": "bulk", "source": SOURCE} | shown
    world.jobs.submissions["demo", job] = Submission(state=state, filename="a.pdf", **kept)
    return job


def read(published: Outgoing) -> tuple[Envelope, Any]:
    at = Partition(published.topic, 0)
    return decode(Record(at, 0, 0, published.key, published.value, published.headers, 0))


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
async def test_cancelling_puts_an_order_and_an_event_on_the_log(
    world: World, client: httpx2.AsyncClient, state: JobState
) -> None:
    job = known(world, state, run=3)
    response = await client.post(f"/v1/jobs/{job}/cancel")
    assert response.status_code == 202, response.text
    view = JobView.model_validate(response.json())
    assert (view.id, view.state, view.cancelling, view.run) == (job, state, True, 3)
    order, event = world.publisher.published
    assert (order.topic, order.key) == (topics.CONTROL.name, job.encode())
    entry = ControlEntry.model_validate_json(order.value or b"")
    assert (entry.action, entry.run) == ("cancel", 3)
    assert entry.until is not None
    assert abs(entry.until - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)
    assert (event.topic, event.key) == (topics.EVENTS.name, job.encode())
    envelope, payload = read(event)
    assert isinstance(payload, CancelRequested)
    assert (envelope.job, envelope.run, envelope.part, envelope.tenant) == (job, 3, 0, "demo")
    assert (envelope.document, envelope.revision, envelope.plan) == ("a/b", 77, document(("weaviate",)).hash)


async def test_an_order_stands_until_a_later_deadline(world: World, client: httpx2.AsyncClient) -> None:
    deadline = datetime.now(UTC) + timedelta(days=9)
    job = known(world, JobState.QUEUED, deadline=deadline)
    await client.post(f"/v1/jobs/{job}/cancel")
    entry = ControlEntry.model_validate_json(world.publisher.published[0].value or b"")
    assert entry.until == deadline


async def test_cancelling_twice_is_one_event(world: World, client: httpx2.AsyncClient) -> None:
    job = known(world, JobState.RUNNING)
    for _ in range(2):
        assert (await client.post(f"/v1/jobs/{job}/cancel")).status_code == 202
    assert len({read(record)[0].id for record in world.publisher.published if record.headers}) == 1


@pytest.mark.parametrize("down", [False, True])
async def test_a_job_that_no_database_tells_of_is_cancelled_all_the_same(
    world: World, client: httpx2.AsyncClient, down: bool
) -> None:
    job = world.ids.issue("demo")
    world.jobs.down = down
    response = await client.post(f"/v1/jobs/{job}/cancel")
    assert (response.status_code, response.json()["cancelling"]) == (202, True)
    [order] = world.publisher.published  # no event: nobody knows which document it would be about
    assert (order.topic, order.key) == (topics.CONTROL.name, job.encode())
    assert ControlEntry.model_validate_json(order.value or b"").run == 1


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_a_job_that_ended_is_not_cancelled(world: World, client: httpx2.AsyncClient, state: JobState) -> None:
    response = await client.post(f"/v1/jobs/{known(world, state)}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "job_ended")
    assert world.publisher.published == []


@pytest.mark.parametrize("state", sorted(RETRYABLE))
async def test_a_retry_is_the_same_submission_with_the_next_run(
    world: World, client: httpx2.AsyncClient, state: JobState
) -> None:
    job = known(world, state, run=2, deadline=datetime.now(UTC))
    answers = [await client.post(f"/v1/jobs/{job}/retry") for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 202, answer.text
        view = JobView.model_validate(answer.json())
        assert (view.id, view.state, view.run, view.document_id, view.revision) == (job, "queued", 3, "a/b", 77)
        assert (view.cancelling, view.finished_at, view.deadline, view.filename) == (False, None, None, "a.pdf")
    (first, payload), (second, _) = map(read, world.publisher.published)
    assert first.id == second.id
    assert payload == JobSubmitted(source=SOURCE, filename="a.pdf")
    assert world.publisher.published[0].topic == topics.JOBS.name
    assert (first.job, first.run, first.part, first.lane) == (job, 3, 0, "bulk")
    assert first.deadline == first.at + timedelta(days=7)
    assert (first.document, first.revision, first.plan) == ("a/b", 77, document(("weaviate",)).hash)


@pytest.mark.parametrize("state", sorted(set(JobState) - RETRYABLE))
async def test_a_job_that_runs_or_succeeded_is_not_run_again(
    world: World, client: httpx2.AsyncClient, state: JobState
) -> None:
    response = await client.post(f"/v1/jobs/{known(world, state)}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "nothing_to_retry")
    assert world.publisher.published == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"deleted": True}, 410, "gone"),
        ({"plan": "0" * 16}, 409, "nothing_to_retry"),
        ({"source": None}, 409, "not_ready"),
    ],
)
async def test_what_can_not_be_run_again_is_refused(
    world: World, client: httpx2.AsyncClient, fields: dict[str, Any], status: int, code: str
) -> None:
    job = known(world, JobState.FAILED)
    submission = world.jobs.submissions["demo", job]
    world.jobs.submissions["demo", job] = Submission(
        **{name: fields.get(name, getattr(submission, name)) for name in Submission.__slots__}
    )
    response = await client.post(f"/v1/jobs/{job}/retry")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert world.publisher.published == []


async def test_a_job_that_is_not_projected_has_nothing_to_retry(world: World, client: httpx2.AsyncClient) -> None:
    response = await client.post(f"/v1/jobs/{world.ids.issue('demo')}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "nothing_to_retry")


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_orders_about_foreign_and_forgotten_jobs_reach_nothing(
    world: World, client: httpx2.AsyncClient, verb: str
) -> None:
    job = known(world, JobState.RUNNING)
    foreign = await client.post(f"/v1/jobs/{job}/{verb}", headers={"authorization": "Bearer other-key"})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    world.jobs.through = datetime.now(UTC)
    old = world.ids.issue("demo", at=(datetime.now(UTC) - timedelta(hours=1)).timestamp())
    gone = await client.post(f"/v1/jobs/{old}/{verb}")
    assert (gone.status_code, gone.json()["code"]) == (410, "gone")
    assert world.publisher.published == []


@pytest.mark.parametrize("verb", ["cancel", "retry"])
async def test_without_the_log_an_order_is_refused(world: World, client: httpx2.AsyncClient, verb: str) -> None:
    job = known(world, JobState.FAILED if verb == "retry" else JobState.RUNNING)
    world.publisher.down = True
    response = await client.post(f"/v1/jobs/{job}/{verb}")
    assert (response.status_code, response.json()["code"]) == (503, "log_unavailable")


async def test_a_retry_needs_the_database(world: World, client: httpx2.AsyncClient) -> None:
    job = known(world, JobState.FAILED)
    world.jobs.down = True
    response = await client.post(f"/v1/jobs/{job}/retry")
    assert (response.status_code, response.json()["code"]) == (503, "dependency_down")


@pytest.mark.parametrize("step", ["ocr", "chunk"])
async def test_going_on_from_a_step_is_one_order_whoever_asks(
    world: World, client: httpx2.AsyncClient, step: str
) -> None:
    job = known(world, JobState.PARTIAL, run=3, prepared=2)
    world.jobs.views["demo", job].pages.extend(
        [PageProgress(page=n, state=s) for n, s in ((1, "indexed"), (2, "failed"))]
    )
    world.blobs.kept[prepared_key("demo", job, 2, 2)] = b"{}"
    answers = [await client.post(f"/v1/jobs/{job}/retry", params={"from": asked}) for asked in (step, "ocr", "chunk")]
    assert [(answer.status_code, answer.json()["run"]) for answer in answers] == [(202, 4)] * 3
    orders = [(record.topic, record.key, *read(record)) for record in world.publisher.published]
    assert {order[:2] for order in orders} == {(topics.REDRIVES.name, job.encode())}
    assert len({order[2].id for order in orders}) == 1
    assert orders[0][3] == ResumeRequested(step=step, by="demo")  # type: ignore[arg-type]
    assert (orders[0][2].run, orders[0][2].job, orders[0][2].lane, orders[0][2].document) == (4, job, "bulk", "a/b")


async def test_what_was_never_counted_or_stored_is_told_to_begin_from_the_start(
    world: World, client: httpx2.AsyncClient
) -> None:
    uncounted, forgotten = known(world, JobState.FAILED), known(world, JobState.FAILED, prepared=1)
    world.jobs.views["demo", forgotten].pages.append(PageProgress(page=1, state="failed"))
    for job in (uncounted, forgotten):
        answer = await client.post(f"/v1/jobs/{job}/retry", params={"from": "ocr"})
        assert (answer.status_code, answer.json()["code"]) == (409, "nothing_stored")
        assert "without `from`" in answer.json()["detail"]
    unknown = await client.post(f"/v1/jobs/{forgotten}/retry", params={"from": "embed"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/from")
    assert not world.publisher.published


async def test_a_retry_is_refused_where_a_submission_would_be(world: World, client: httpx2.AsyncClient) -> None:
    job = known(world, JobState.FAILED)
    world.lag.behind = 0
    world.load.newest = LoadReport(at=datetime.now(UTC), bulk=LaneLoad(waiting={"demo": 10**6}))
    answer = await client.post(f"/v1/jobs/{job}/retry")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_pages_waiting")
    assert not world.publisher.published

"""Reading jobs, results and search: what any API process can say, with the projector behind, ahead or away."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from schemas.control import LaneLoad, LoadReport
from schemas.documents import EngineStamp, Times
from schemas.ids import JobIds
from schemas.jobs import JobResult, JobState, JobView, PageProgress, PageResult, SearchHit
from schemas.ports import Backlog
from tests.fakes import World

NOW = datetime.now(UTC)


def issue(world: World, tenant: str = "demo", *, age: float = 0) -> str:
    return world.ids.issue(tenant, at=NOW.timestamp() - age)


def result(job: str, state: JobState) -> JobResult:
    return JobResult(
        id=job, state=state, document_id="d", document_sha256="0" * 64, revision=1, plan="p", pages=[], errors=[]
    )


@pytest.mark.parametrize("path", ["", "/result"])
async def test_forged_foreign_and_malformed_ids_are_404_without_a_database(
    world: World, client: httpx2.AsyncClient, path: str
) -> None:
    world.jobs.down = True
    own = issue(world)
    forged = own[:-1] + ("a" if own[-1] != "a" else "b")
    others_key = JobIds({1: "another secret"}).issue("demo")
    for job in (forged, issue(world, "other"), others_key, "job_x", "%00", "x" * 5000, own.upper()):
        response = await client.get(f"/v1/jobs/{job}{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), job
    assert world.jobs.reads == 0


@pytest.mark.parametrize("through", [None, NOW - timedelta(seconds=60), NOW, NOW + timedelta(seconds=29)])
async def test_a_job_that_is_not_projected_yet_is_queued(
    world: World, client: httpx2.AsyncClient, through: datetime | None
) -> None:
    world.jobs.through = through
    job = issue(world)
    response = await client.get(f"/v1/jobs/{job}")
    assert response.status_code == 200
    view = JobView.model_validate(response.json())
    assert (view.id, view.state, view.projected_through) == (job, JobState.QUEUED, through)
    response = await client.get(f"/v1/jobs/{job}/result")
    assert (response.status_code, response.json()["code"]) == (409, "not_ready")
    assert response.json()["retryable"] is True


@pytest.mark.parametrize("path", ["", "/result"])
async def test_an_old_id_without_a_row_is_gone(world: World, client: httpx2.AsyncClient, path: str) -> None:
    world.jobs.through = NOW
    response = await client.get(f"/v1/jobs/{issue(world, age=31)}{path}")
    assert (response.status_code, response.json()["code"]) == (410, "gone")


async def test_a_row_that_comes_between_the_two_reads_is_found(world: World, client: httpx2.AsyncClient) -> None:
    job = issue(world, age=3600)
    world.jobs.through = NOW
    world.jobs.late = JobView(id=job, state=JobState.RUNNING)
    response = await client.get(f"/v1/jobs/{job}")
    assert (response.status_code, response.json()["state"]) == (200, "running")


async def test_a_projected_job_is_shown_as_it_is(world: World, client: httpx2.AsyncClient) -> None:
    job = issue(world)
    world.jobs.views["demo", job] = JobView(id=job, state=JobState.PARTIAL, pages_total=2, pages_done=1)
    assert (await client.get(f"/v1/jobs/{job}")).json()["pages_done"] == 1


@pytest.mark.parametrize("state", list(JobState))
async def test_a_result_is_given_only_once_the_job_has_ended(
    world: World, client: httpx2.AsyncClient, state: JobState
) -> None:
    job = issue(world)
    world.jobs.results["demo", job] = result(job, state)
    response = await client.get(f"/v1/jobs/{job}/result")
    assert response.status_code == (409 if state in {JobState.QUEUED, JobState.RUNNING} else 200)


async def test_a_page_is_given_as_soon_as_it_was_read(world: World, client: httpx2.AsyncClient) -> None:
    job = issue(world)
    world.jobs.views["demo", job] = JobView(id=job, state=JobState.RUNNING, pages_total=1)
    assert (await client.get(f"/v1/jobs/{job}/pages/1")).status_code == 404
    world.jobs.views["demo", job].pages.append(PageProgress(page=1, state="queued"))
    waiting = await client.get(f"/v1/jobs/{job}/pages/1")
    assert (waiting.status_code, waiting.json()["code"], waiting.headers["retry-after"]) == (409, "not_ready", "1")
    stamp = EngineStamp(name="e", model="m", version="1", digest="d")
    page = PageResult(page=1, text="hello", lines=[], engine=stamp, times=Times())
    world.jobs.pages["demo", job, 1] = page
    assert PageResult.model_validate((await client.get(f"/v1/jobs/{job}/pages/1")).json()) == page
    foreign = await client.get(f"/v1/jobs/{job}/pages/1", headers={"authorization": "Bearer other-key"})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    assert (await client.get(f"/v1/jobs/{job}/pages/0")).status_code == 422


@pytest.mark.parametrize("path", ["/result", "/pages/1", "/pages/1/image"])
async def test_of_a_deleted_document_the_job_is_shown_and_nothing_else(
    world: World, client: httpx2.AsyncClient, path: str
) -> None:
    job = issue(world)
    world.jobs.views["demo", job] = JobView(id=job, state=JobState.SUCCEEDED, deleted=True, pages_total=1)
    gone = await client.get(f"/v1/jobs/{job}{path}")
    assert (gone.status_code, gone.json()["code"]) == (410, "gone")
    assert (await client.get(f"/v1/jobs/{job}")).json()["deleted"] is True


async def test_a_list_of_jobs_is_asked_for_as_the_caller_says(world: World, client: httpx2.AsyncClient) -> None:
    query = (
        "?state=failed&state=partial&order=finished_at&limit=5&lane=bulk&document_id=a%2Fb&since=2026-01-01T00:00:00Z"
    )
    response = await client.get(f"/v1/jobs{query}")
    assert response.json() == {"data": [], "has_more": False, "next": None, "projected_through": None}
    [asked] = world.jobs.asked
    assert (asked.state, asked.order, asked.limit) == (("failed", "partial"), "finished_at", 5)
    assert (asked.lane, asked.document_id, asked.since) == ("bulk", "a/b", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"), ("limit=101", "/limit"), ("state=done", "/state/0"), ("order=name", "/order"),
        ("since=yesterday", "/since"), ("since=2026-01-01T00:00:00", "/since"), ("colour=red", "/colour"),
        ("document_id=a%00b", "/document_id"), ("after=" + "x" * 257, "/after"),
    ],
)  # fmt: skip
async def test_a_list_that_is_asked_for_wrongly_is_refused_by_field(
    client: httpx2.AsyncClient, query: str, pointer: str
) -> None:
    response = await client.get(f"/v1/jobs?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_reads_say_503_while_the_database_is_down(world: World, client: httpx2.AsyncClient) -> None:
    world.jobs.down = True
    for path in ("", "/result"):
        response = await client.get(f"/v1/jobs/{issue(world)}{path}")
        assert (response.status_code, response.json()["code"]) == (503, "dependency_down")
        assert response.headers["retry-after"] == "2"


async def test_search_gives_the_callers_own_hits(world: World, client: httpx2.AsyncClient) -> None:
    hit = SearchHit(
        document_id="d", revision=1, job="j", page=1, chunk=0, text="t", box=(0, 0, 1, 1), image_width=1,
        image_height=1, score=0.5,
    )  # fmt: skip
    world.search.hits["demo"] = [hit]
    asked = {"query": "who?", "limit": 3, "document_id": "d"}
    response = await client.post("/v1/search", json=asked)
    assert response.json() == {"query": "who?", "hits": [hit.model_dump(mode="json")]}
    [passage] = world.search.asked
    assert (passage.vector, passage.limit, passage.document_id) == ((1.0, 0.0), 3, "d")
    other = await client.post("/v1/search", json=asked, headers={"authorization": "Bearer other-key"})
    assert other.json()["hits"] == []


async def test_a_broken_model_is_503_and_its_words_stay_inside(world: World, client: httpx2.AsyncClient) -> None:
    world.embedder.broken = True
    response = await client.post("/v1/search", json={"query": "x"})
    assert (response.status_code, response.json()["code"]) == (503, "dependency_down")
    assert "secret inside" not in response.text
    ready = (await client.get("/readyz")).json()
    assert (ready["status"], ready["degraded"]) == ("ready", ["embedder"])
    world.embedder.broken = False
    assert (await client.post("/v1/search", json={"query": "x"})).status_code == 200


async def test_a_vector_that_is_no_number_never_reaches_the_index(world: World, client: httpx2.AsyncClient) -> None:
    world.embedder.value = float("nan")
    response = await client.post("/v1/search", json={"query": "x"})
    assert (response.status_code, response.json()["code"]) == (500, "model_output_invalid")
    assert world.search.asked == []


async def test_readiness_names_the_sick_part(world: World, client: httpx2.AsyncClient) -> None:
    await client.post("/v1/search", json={"query": "x"})
    assert (await client.get("/readyz")).json()["degraded"] == []
    world.jobs.down = True
    degraded = await client.get("/readyz")
    assert (degraded.status_code, degraded.json()["degraded"]) == (200, ["postgresql"])
    world.publisher.down = True
    sick = await client.get("/readyz")
    assert (sick.status_code, sick.json()["status"]) == (503, "unavailable")
    assert sick.json()["parts"]["kafka"] == {"state": "failed", "code": "log_unavailable"}
    assert sick.json()["parts"]["blobs"] == {"state": "ok", "code": None}
    assert (await client.get("/livez")).status_code == 200


async def test_metrics_hold_only_names_of_the_closed_list(world: World, client: httpx2.AsyncClient) -> None:
    from typing import get_args

    from prometheus_client.parser import text_string_to_metric_families

    from schemas.telemetry import Metric

    await client.get(f"/v1/jobs/{issue(world)}")
    await client.get("/nope")
    text = (await client.get("/metrics")).text
    ours = (family for family in text_string_to_metric_families(text) if family.name.startswith("headrace_"))
    families = {family.name: family for family in ours}
    known = {name.removesuffix("_total") for name in get_args(Metric)}
    assert {name.removesuffix("_created").removesuffix("_total") for name in families} <= known
    routes = {sample.labels["route"] for sample in families["headrace_api_request_seconds"].samples}
    assert routes == {"/v1/jobs/{job}", "unmatched"}
    [lag] = families["headrace_group_lag_records"].samples
    assert (lag.labels, lag.value) == ({"group": "headrace.ocr", "topic": "headrace.ocr"}, 7)
    assert families["headrace_dead_letters_records"].samples[0].value == 3
    await client.get("/metrics")
    assert world.lag.reads == 1


async def test_metrics_are_served_without_the_log(world: World, client: httpx2.AsyncClient) -> None:
    world.lag.down = True
    text = (await client.get("/metrics")).text
    assert "headrace_group_lag_records" not in text
    assert "headrace_api_request_seconds" in text


async def test_a_waiting_job_is_shown_its_place_and_one_that_does_not_wait_none(
    world: World, client: httpx2.AsyncClient
) -> None:
    job = world.ids.issue("demo")
    world.load.newest = LoadReport(at=datetime.now(UTC), bulk=LaneLoad(waiting={"other": 500}), pages_per_second=10)
    assert (await client.get(f"/v1/jobs/{job}")).json()["queue"] is None
    world.jobs.backlogs["demo", job] = Backlog("bulk", 100, 20, counted=True)
    shown = (await client.get(f"/v1/jobs/{job}")).json()["queue"]
    assert shown == {"pages_ahead": 200, "starts_in_seconds": 20.0, "ends_in_seconds": 24.0}


@pytest.mark.parametrize(
    ("path", "pointers"),
    [
        ("/v1/jobs?limit=1&limit=2", ["/limit"]),
        ("/v1/dead-letters/causes?job=a&job=b&step=ocr", ["/job"]),
        ("/v1/documents?after=a&limit=3&after=b&limit=4", ["/after", "/limit"]),
        ("/v1/jobs/nobody/events?run=1&run=2", ["/run"]),
    ],
)
async def test_a_parameter_that_takes_one_value_is_given_once(
    client: httpx2.AsyncClient, path: str, pointers: list[str]
) -> None:
    refused = await client.get(path)
    assert refused.status_code == 422
    assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [
        (pointer, "repeated") for pointer in pointers
    ]


async def test_one_that_takes_many_values_may_be_given_many_times(world: World, client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/jobs?state=failed&state=partial&tag=a&tag=b")).status_code == 200
    assert [(query.state, query.tag) for query in world.jobs.asked] == [(("failed", "partial"), ("a", "b"))]
    assert (await client.get("/v1/dead-letters?state=open&state=redriven")).status_code == 200


async def test_an_address_has_no_unknown_parameters(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/jobs", "/v1/documents", "/v1/keys", "/v1/dead-letters", "/v1/dead-letters/causes"):
        assert (await client.get(f"{path}?unheard=of")).status_code == 422, path

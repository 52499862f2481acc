"""The whole stack on fake engines: what callers see when all is well, and when a part is not."""

import asyncio
import contextlib
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx2
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from PIL import Image
from standardwebhooks.webhooks import Webhook

from deploy.local.samples import letters
from deploy.local.session import Session
from schemas.control import ControlEntry
from schemas.ids import JobIds
from schemas.topics import CONTROL, GROUPS, OPTIONAL_GROUPS
from tests.flow.jobs import ended, submit
from tests.flow.stops import stopped
from tests.support import until
from tests.unit.decoding.documents import ENCRYPTED, huge_png
from tests.webhooks.receivers import Arrival, answering, receiving
from tests.webhooks.worlds import eventually

pytestmark = pytest.mark.stack


def _png(color: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("L", (300, 200), color).save(file, "PNG")
    return file.getvalue()


def test_a_document_goes_from_http_to_search_and_stays_its_tenants(
    stack: Session, client: httpx2.Client, tmp_path: Path
) -> None:
    letters(tmp_path / "four.pdf", 4)
    accepted = submit(client, (tmp_path / "four.pdf").read_bytes(), document_id="letter-7")
    assert accepted.status_code == 202
    job = accepted.json()["id"]
    assert accepted.headers["location"] == f"/v1/jobs/{job}"
    view = ended(client, job)
    assert (view["state"], view["pages_done"], view["document_id"]) == ("succeeded", 4, "letter-7")
    timeline = client.get(f"/v1/jobs/{job}/timeline").json()["data"]
    assert [(part["page"], part["run"]) for part in timeline] == [(page, 1) for page in (None, 1, 2, 3, 4)]
    for part in timeline[1:]:
        steps = [(attempt["step"], attempt["state"]) for attempt in part["attempts"]]
        assert steps == [(step, "succeeded") for step in ("prepare", "ocr", "chunk", "embed", "index-pgvector")]
        times = [(attempt["started_at"], attempt["finished_at"]) for attempt in part["attempts"]]
        assert times == sorted(times)
    pages = client.get(f"/v1/jobs/{job}/result").json()["pages"]
    assert [page["page"] for page in pages] == [1, 2, 3, 4]
    hits = client.post("/v1/search", json={"query": pages[1]["text"], "document_id": "letter-7"}).json()["hits"]
    assert {hit["job"] for hit in hits} == {job}
    best = hits[0]
    assert best["page"] == 2
    assert 0 <= best["box"][0] < best["box"][2] <= best["image_width"]
    foreign = {"headers": stack.headers("other")}
    assert client.get(f"/v1/jobs/{job}", **foreign).status_code == 404
    assert client.get(f"/v1/jobs/{job}/result", **foreign).status_code == 404
    assert client.get(f"/v1/jobs/{job}/timeline", **foreign).status_code == 404
    assert client.post("/v1/search", json={"query": "x"}, **foreign).json()["hits"] == []


async def test_the_end_of_a_job_is_told_to_an_endpoint_that_proved_itself(client: httpx2.Client) -> None:
    async with receiving() as receivers:
        wanted = {"url": receivers.url("here", answering(204)), "events": ["job.succeeded", "page.succeeded"]}
        made = (await asyncio.to_thread(client.post, "/v1/webhook-endpoints", json=wanted)).json()
        accepted = await asyncio.to_thread(submit, client, _png(7), metadata='{"order": "7"}', tags="archive")
        job = accepted.json()["id"]

        async def told() -> list[Arrival] | None:
            found = [arrival for arrival in receivers.came("here") if json.loads(arrival.body)["data"]["job"] == job]
            return found if len(found) == 2 else None

        page, end = sorted(await eventually(told, "the page and the job", 60), key=lambda arrival: arrival.type)[::-1]
    for arrival in (page, end):
        Webhook(made["secrets"][0]["secret"]).verify(arrival.body, arrival.headers)
    data = json.loads(end.body)["data"]
    assert (end.type, data["state"], data["metadata"], data["tags"]) == (
        "job.succeeded", "succeeded", {"order": "7"}, ["archive"],
    )  # fmt: skip
    assert data["result"].startswith("http")
    assert (await asyncio.to_thread(client.get, data["result"])).json()["id"] == job

    async def noted() -> bool:
        found = (await asyncio.to_thread(client.get, f"/v1/webhook-endpoints/{made['id']}/deliveries")).json()["data"]
        return {each["message"] for each in found if each["state"] == "delivered"} >= {page.id, end.id}

    assert await eventually(noted, "both are noted as delivered")


def test_every_step_and_sink_is_a_consumer_group_of_its_own(stack: Session) -> None:
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    running = sorted(GROUPS.keys() - OPTIONAL_GROUPS)
    described = {group: future.result(10) for group, future in admin.describe_consumer_groups(running).items()}
    members = {group: {member.group_instance_id for member in found.members} for group, found in described.items()}
    assert members == {
        "headrace.prepare": {"prepare-1"}, "headrace.ocr": {s for s in stack.pids() if s.startswith("ocr-")},
        "headrace.chunk": {"chunk-1"}, "headrace.embed": {"embed-1"}, "headrace.projector": {"projector-1"},
        "headrace.index-pgvector": {"index-pgvector-1"}, "headrace.eraser": {"eraser-1"},
        "headrace.dead-letters": {"dead-letters-1"},
        "headrace.webhooks": {"webhooks-1"},
        "headrace.dispatcher": {"dispatcher-1"},
    }  # fmt: skip
    assert len({stack.pids()[slot] for slots in members.values() for slot in slots if slot}) == sum(
        map(len, members.values())
    )


@pytest.mark.long
def test_two_api_processes_never_disagree_over_500_submissions(stack: Session, client: httpx2.Client) -> None:
    first, second = (httpx2.Client(base_url=url, headers=stack.headers(), timeout=30) for url in stack.own_urls())
    jobs = []
    with stopped(stack.pids()["projector-1"]):
        for number in range(500):
            here, there = (first, second) if number % 2 else (second, first)
            answer = submit(here, f"Note {number}: the pump was checked.".encode())
            assert answer.status_code == 202
            jobs.append(answer.json()["id"])
            seen = there.get(f"/v1/jobs/{jobs[-1]}")
            assert (seen.status_code, seen.json()["state"]) == (200, "queued")
    for job in (jobs[0], jobs[250], jobs[-1]):
        assert ended(client, job, 300)["state"] == "succeeded"
    for client_of_one in (first, second):
        assert {client_of_one.get(f"/v1/jobs/{job}").status_code for job in jobs} == {200}
    until(lambda: all(first.get(f"/v1/jobs/{job}").json()["state"] == "succeeded" for job in jobs), 300, "all to end")
    first.close()
    second.close()


def test_forged_foreign_and_forgotten_ids(stack: Session, client: httpx2.Client) -> None:
    keys = json.loads((stack.folder / "secrets.json").read_text())["id_keys"]
    ids = JobIds({int(number): secret for number, secret in keys.items()})
    forged = "job_" + "a" * 37
    foreign = ids.issue("other")
    old = ids.issue("demo", at=time.time() - 3600)
    assert client.get(f"/v1/jobs/{forged}").status_code == 404
    assert client.get(f"/v1/jobs/{foreign}").status_code == 404
    until(lambda: client.get(f"/v1/jobs/{old}").status_code == 410, 20, "an old id without a row to be gone")
    assert client.get(f"/v1/jobs/{old}").json()["code"] == "gone"


def test_kafka_down_is_503_and_nothing_is_accepted(stack: Session, client: httpx2.Client) -> None:
    with stopped(stack.pids()["kafka"]):
        answer = submit(client, _png())
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["code"] == "log_unavailable"
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["parts"]["kafka"]["state"] == "failed"
        assert client.get("/livez").status_code == 200
    until(lambda: submit(client, _png()).status_code == 202, 60, "accepting again")


def test_postgresql_down_is_still_202_and_is_caught_up_with(stack: Session, client: httpx2.Client) -> None:
    jobs = []
    with stopped(stack.pids()["postgres"]):
        for number in range(5):
            answer = submit(client, _png(number))
            assert answer.status_code == 202
            jobs.append(answer.json()["id"])
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["degraded"]) == (200, ["postgresql"])
        asked = client.get(f"/v1/jobs/{jobs[0]}")
        assert asked.status_code == 503
        assert asked.headers["retry-after"]
    assert {ended(client, job, 90)["state"] for job in jobs} == {"succeeded"}


def _letter(tmp_path: Path) -> bytes:
    letters(tmp_path / "one.pdf", 1)
    return (tmp_path / "one.pdf").read_bytes()


REFUSED: dict[str, tuple[Callable[[bytes], bytes], int, str]] = {
    "empty": (lambda _: b"", 422, "empty_input"),
    "mislabelled": (
        lambda _: b"\x7fELF\x02\x01\x01 a program that claims to be a picture" * 9,
        415,
        "unsupported_media_type",
    ),
    "oversized": (lambda pdf: pdf + b"\0" * 3_000_000, 413, "too_large"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_be_seen_at_the_door_is_refused_there(client: httpx2.Client, tmp_path: Path, case: str) -> None:
    spoil, status, code = REFUSED[case]
    answer = submit(client, spoil(_letter(tmp_path)))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_bad_documents_fail_with_a_code_and_harm_neither_worker_nor_neighbour(
    stack: Session, client: httpx2.Client, tmp_path: Path
) -> None:
    good = _letter(tmp_path)
    before = stack.pids()
    cases = {
        "input_truncated": [good[: len(good) // 2], _png()[:120]],
        "too_many_pixels": [huge_png(50_000)],
        "encrypted_document": [ENCRYPTED],
    }
    jobs = [(code, submit(client, content).json()["id"]) for code, contents in cases.items() for content in contents]
    neighbour = submit(client, good).json()["id"]
    assert ended(client, neighbour)["state"] == "succeeded"
    for code, job in jobs:
        view = ended(client, job)
        assert (view["state"], [error["code"] for error in view["errors"]]) == ("failed", [code])
    assert stack.pids() == before, "a worker died"


def test_a_control_record_cancels_a_job(stack: Session, client: httpx2.Client, tmp_path: Path) -> None:
    keys_before = stack.pids()
    with stopped(stack.pids()["prepare-1"]):
        job = submit(client, _letter(tmp_path)).json()["id"]
        producer = Producer({"bootstrap.servers": stack.kafka})
        producer.produce(CONTROL.name, ControlEntry(action="cancel").model_dump_json(), job)
        assert producer.flush(10) == 0
    assert ended(client, job)["state"] == "cancelled"
    assert stack.pids() == keys_before


async def test_the_database_keeps_tenants_apart_even_where_the_api_forgets(stack: Session) -> None:
    password = json.loads((stack.folder / "secrets.json").read_text())["passwords"]["headrace_api"]
    place = stack.admin_url.rpartition("@")[2]
    connection = await asyncio.wait_for(asyncpg.connect(f"postgresql://headrace_api:{password}@{place}"), 10)
    try:
        assert await connection.fetchval("select count(*) from jobs") == 0, "a forgotten tenant shows rows"
    finally:
        await connection.close()


def test_metrics_of_every_process_answer(stack: Session) -> None:
    ports = json.loads((stack.folder / "ports.json").read_text())
    for slot in stack.pids().keys() - {"kafka", "postgres"}:
        base = f"http://127.0.0.1:{ports[slot]}"
        assert httpx2.get(f"{base}/livez").status_code == 200
        assert "headrace_" in httpx2.get(f"{base}/metrics").text


def test_jobs_that_wait_are_shown_their_places_in_order(stack: Session, client: httpx2.Client, tmp_path: Path) -> None:
    first, *rest = [Image.new("L", (60, 80), page * 4) for page in range(40)]
    first.save(tmp_path / "many.pdf", "PDF", save_all=True, append_images=rest, resolution=150)
    content = (tmp_path / "many.pdf").read_bytes()
    with contextlib.ExitStack() as held:
        for slot in [slot for slot in stack.pids() if slot.startswith("ocr-")]:
            held.enter_context(stopped(stack.pids()[slot]))
        jobs = [submit(client, content, lane="bulk").json()["id"] for _ in range(4)]

        def ahead() -> list[int]:
            places = [client.get(f"/v1/jobs/{job}").json()["queue"] for job in jobs]
            return [place["pages_ahead"] for place in places if place is not None]

        def in_order() -> bool:  # a job that is being counted has no place for a moment
            places = ahead()
            return len(places) >= 3 and places == sorted(set(places))

        until(in_order, 30, "three jobs, each behind the other")
    for job in jobs:
        view = ended(client, job, 60)
        assert (view["state"], view["queue"]) == ("succeeded", None)

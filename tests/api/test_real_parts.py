"""The API process as it is deployed, on a real log and a real database, and without either."""

import asyncio
import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx2
import pytest
from confluent_kafka import Consumer

from deploy.local import ports
from producers import provisioning
from schemas import topics
from schemas.broker import Broker
from schemas.codec import decode
from schemas.documents import Claim, JobSubmitted, PageRead
from schemas.failpoints import Failpoints
from schemas.ids import JobIds
from schemas.records import Partition, Record
from sinks.blobs import open_blobs
from sinks.projector import Projector
from tests.api.processes import KEY, apis, ask
from tests.sinks import events
from tests.sinks.databases import Database, fresh
from tests.support import until

PDF = b"%PDF-1.7 hello"


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture(scope="module")
def log(kafka: Broker) -> str:
    provisioning.apply(kafka, dev=True)
    return kafka.bootstrap


@pytest.fixture
def nowhere() -> str:
    [port] = ports.free(1)
    return f"127.0.0.1:{port}"


def submit(url: str, content: bytes = PDF) -> httpx2.Response:
    return ask("POST", f"{url}/v1/jobs", files={"file": ("a.pdf", content)})


def records_of(log: str, job: str) -> list[Record]:
    """What the jobs topic holds of one job."""
    consumer = Consumer({"bootstrap.servers": log, "group.id": "test", "auto.offset.reset": "earliest"})
    found: list[Record] = []
    try:
        consumer.subscribe([topics.JOBS.name])
        deadline = time.monotonic() + 20
        while not found and time.monotonic() < deadline:
            for message in consumer.consume(100, 0.5):
                if message.key() == job.encode():
                    at = Partition(message.topic(), message.partition())
                    headers = tuple(message.headers())
                    found.append(Record(at, message.offset(), 0, message.key(), message.value(), headers, 0.0))
    finally:
        consumer.close()
    return found


def test_two_processes_accept_onto_one_log_and_know_each_others_ids(
    log: str, database: Database, tmp_path: Path
) -> None:
    with apis(tmp_path, log, database.api, count=2) as (shared, *owned):
        assert ask("GET", f"{shared}/readyz").json()["status"] == "ready"
        jobs = [submit(url).json()["id"] for url in (shared, *owned)]
        for job in jobs:
            for url in owned:
                assert ask("GET", f"{url}/v1/jobs/{job}").json()["state"] == "queued"
        assert ask("POST", f"{shared}/v1/search", json={"query": "x"}).json()["hits"] == []
        metrics = ask("GET", f"{owned[0]}/metrics").text
        assert 'headrace_group_lag_records{group="headrace.dispatcher",topic="headrace.jobs"}' in metrics
    [record] = records_of(log, jobs[0])
    envelope, payload = decode(record)
    assert isinstance(payload, JobSubmitted)
    assert (envelope.job, envelope.tenant) == (jobs[0], "demo")
    assert open_blobs((tmp_path / "blobs").as_uri()).read(payload.source) == PDF


def test_who_has_connected_and_not_spoken_yet_is_heard_before_the_process_ends(
    log: str, database: Database, tmp_path: Path
) -> None:
    with apis(tmp_path, log, database.api) as (_, own):
        address = ("127.0.0.1", httpx2.URL(own).port or 0)
        with socket.create_connection(address, timeout=10) as caller:
            assert ask("GET", f"{own}/livez").status_code == 200  # so the earlier connection is accepted
            os.kill(json.loads((tmp_path / "api-1.ready").read_text())["pid"], signal.SIGTERM)
            until(lambda: not _listens(address), 10, "the port closed")
            caller.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            assert caller.recv(100).startswith(b"HTTP/1.1 200")


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


async def _read_page(database: str, job: str, picture: Claim) -> None:
    projector = Projector(database, Failpoints("x", None))
    page = PageRead(width=2, height=1, image=picture, lines=(), engine=events.STAMP)
    await projector.write([events.prepared(job, 2), events.task(job, 1, page)])
    await projector.close()


def test_a_page_picture_is_sent_from_the_store_to_its_tenant_alone(
    log: str, database: Database, tmp_path: Path
) -> None:
    job, png = JobIds({1: "secret"}).issue("demo"), b"\x89PNG\r\n\x1a\n" + bytes(3_000_000)
    picture = open_blobs((tmp_path / "blobs").as_uri()).put(f"demo/{job}/pages/1/00001.png", png)
    asyncio.run(_read_page(database.sink, job, picture))
    with apis(tmp_path, log, database.api) as (url, _):
        sent = ask("GET", f"{url}/v1/jobs/{job}/pages/1/image")
        assert (sent.status_code, sent.content == png) == (200, True)
        assert sent.headers["etag"] == f'"{picture.sha256}"'
        assert ask("GET", f"{url}/v1/jobs/{job}/pages/2/image").json()["code"] == "not_ready"
        assert ask("GET", f"{url}/v1/jobs/{job}/pages/3/image").json()["code"] == "not_found"
        (tmp_path / "blobs" / picture.key).write_bytes(png[:-1] + b"x")
        assert ask("GET", f"{url}/v1/jobs/{job}/pages/1/image").json()["code"] == "internal"
        (tmp_path / "blobs" / picture.key).unlink()
        assert ask("GET", f"{url}/v1/jobs/{job}/pages/1/image").json()["code"] == "gone"


def test_refused_and_broken_uploads_leave_no_file(log: str, database: Database, tmp_path: Path) -> None:
    with apis(tmp_path, log, database.api) as (url, _):
        assert submit(url, b"").json()["code"] == "empty_input"
        assert submit(url, b"MZ\x90\x00" + bytes(3_000_000)).json()["code"] == "unsupported_media_type"
        assert submit(url, b"%PDF-" + bytes(105_000_000)).json()["code"] == "too_large"
        head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n%PDF-'
        cut = httpx2.post(
            f"{url}/v1/jobs",
            content=head + bytes(3_000_000),
            headers=KEY | {"content-type": "multipart/form-data; boundary=b"},
            trust_env=False,
        )
        assert cut.json()["code"] == "bad_request"
        assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


NOT_TEXT = {"nul": rb"a\u0000b", "half of a pair": rb"a\ud83db", "the other half": rb"\ude00"}
"""What JSON can say and PostgreSQL's text cannot hold."""


def _wrong(answer: httpx2.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body["errors"]]


def test_text_that_postgresql_cannot_hold_is_refused_by_its_field_or_searched_for_without_it(
    log: str, database: Database, tmp_path: Path
) -> None:
    hook = b'{"url": "https://a.example/hook", "description": "%s"}'
    json_of = KEY | {"content-type": "application/json"}
    with apis(tmp_path, log, database.api) as (url, _), httpx2.Client(base_url=url, trust_env=False) as caller:

        def post(path: str, body: bytes) -> httpx2.Response:
            return caller.post(path, content=body, headers=json_of, timeout=30)

        for name, text in NOT_TEXT.items():
            for mode in (b"vector", b"keyword", b"hybrid"):
                found = post("/v1/search", b'{"query": "%s", "mode": "%s"}' % (text, mode))
                if name == "nul":
                    assert (found.status_code, found.json()) == (200, {"query": "a\0b", "hits": []})
                else:
                    assert _wrong(found) == (422, "invalid_request", ["/query"])
            named = post("/v1/search", b'{"query": "a", "document_id": "%s"}' % text)
            assert _wrong(named) == (422, "invalid_request", ["/document_id"])
            assert _wrong(post("/v1/keys", b'{"name": "%s"}' % text)) == (422, "invalid_request", ["/name"])
            assert _wrong(post("/v1/webhook-endpoints", hook % text)) == (422, "invalid_request", ["/description"])
        for field, pointer in (("tag", "/tag/0"), ("document_id", "/document_id")):
            for given in ("%00", "a%00b"):
                refused = caller.get(f"/v1/jobs?{field}={given}", headers=KEY)
                assert _wrong(refused) == (422, "invalid_request", [pointer])
            for given in ("%ed%a0%80", "%ff"):  # no UTF-8: read as U+FFFD, which is text
                listed = caller.get(f"/v1/jobs?{field}={given}", headers=KEY)
                assert (listed.status_code, listed.json()["data"]) == (200, [])
        for kept in ("keys", "webhook-endpoints"):
            assert caller.get(f"/v1/{kept}", headers=KEY).json()["data"] == []


def test_without_the_log_the_api_starts_and_says_503(database: Database, nowhere: str, tmp_path: Path) -> None:
    with apis(tmp_path, nowhere, database.api) as (url, _):
        response = submit(url)
        assert (response.status_code, response.json()["code"]) == (503, "log_unavailable")
        assert int(response.headers["retry-after"]) >= 1
        ready = ask("GET", f"{url}/readyz")
        assert (ready.status_code, ready.json()["parts"]["kafka"]["state"]) == (503, "failed")
        assert ask("GET", f"{url}/livez").status_code == 200


def test_without_the_database_jobs_are_accepted_and_reads_say_503(log: str, nowhere: str, tmp_path: Path) -> None:
    with apis(tmp_path, log, f"postgresql://headrace_api:x@{nowhere}/headrace") as (url, _):
        accepted = submit(url)
        assert accepted.status_code == 202
        read = ask("GET", f"{url}{accepted.headers['location']}")
        assert (read.status_code, read.json()["code"]) == (503, "dependency_down")
        assert "retry-after" in read.headers
        ready = ask("GET", f"{url}/readyz")
        assert (ready.status_code, ready.json()["degraded"]) == (200, ["postgresql"])

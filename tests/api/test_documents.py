"""Documents under whatever ids their callers gave them."""

import time
from urllib.parse import quote

import httpx2
import pytest

from schemas import topics
from schemas.codec import decode
from schemas.documents import DocumentDropped
from schemas.jobs import DocumentView, JobState
from schemas.plans import DOCUMENT
from schemas.records import Partition, Record
from tests.fakes import World

NAMES = [
    "a",
    "a/b",
    "/a",
    "a/",
    "a//b",
    "a/../b",
    "Rechnung Ä ß.pdf",
    "50% off?#x",
    "a+b c",
    "日本",
    "x" * 256,
    "%2F",
    "…",
]


def keep(world: World, name: str) -> None:
    world.jobs.kept["demo", name] = DocumentView(document_id=name, revision=5, job="job_x", state=JobState.SUCCEEDED)


@pytest.mark.parametrize("name", NAMES)
async def test_a_document_is_found_under_any_id_that_is_percent_encoded(
    world: World, client: httpx2.AsyncClient, name: str
) -> None:
    keep(world, name)
    response = await client.get(f"/v1/documents/{quote(name, safe='')}")
    assert response.status_code == 200, response.text
    assert response.json()["document_id"] == name


async def test_slashes_need_no_encoding(world: World, client: httpx2.AsyncClient) -> None:
    keep(world, "invoices/2026/a.pdf")
    assert (await client.get("/v1/documents/invoices/2026/a.pdf")).json()["document_id"] == "invoices/2026/a.pdf"


@pytest.mark.parametrize("path", ["%00", "a%09b", "x" * 257, ""])
async def test_an_id_that_no_document_can_have_is_refused(world: World, client: httpx2.AsyncClient, path: str) -> None:
    for method in ("GET", "DELETE"):
        response = await client.request(method, f"/v1/documents/{path}")
        assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert world.publisher.published == []


async def test_unknown_foreign_and_unreadable_documents(world: World, client: httpx2.AsyncClient) -> None:
    keep(world, "mine")
    unknown = await client.get("/v1/documents/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    foreign = await client.get("/v1/documents/mine", headers={"authorization": "Bearer other-key"})
    assert foreign.status_code == 404
    world.jobs.down = True
    assert (await client.get("/v1/documents/mine")).status_code == 503
    assert (await client.get("/v1/documents")).status_code == 503


async def test_the_callers_documents_are_listed(world: World, client: httpx2.AsyncClient) -> None:
    keep(world, "mine")
    assert [item["document_id"] for item in (await client.get("/v1/documents")).json()["data"]] == ["mine"]
    other = await client.get("/v1/documents", headers={"authorization": "Bearer other-key"})
    assert other.json() == {"data": [], "has_more": False, "next": None}
    for query in ("limit=0", "limit=101", "limit=x", "after=" + "x" * 300):
        assert (await client.get(f"/v1/documents?{query}")).status_code == 422


@pytest.mark.parametrize("name", NAMES)
async def test_a_deletion_is_accepted_once_it_is_on_the_log_and_needs_no_database(
    world: World, client: httpx2.AsyncClient, name: str
) -> None:
    world.jobs.down = True
    before = time.time_ns() // 1000
    response = await client.delete(f"/v1/documents/{quote(name, safe='')}")
    assert response.status_code == 202, response.text
    answer = response.json()
    assert answer["document_id"] == name
    assert before <= answer["through"] <= time.time_ns() // 1000
    [record] = world.publisher.published
    assert (record.topic, record.key) == (topics.DOCUMENTS.name, f"demo/{name}".encode())
    at = Partition(record.topic, 0)
    envelope, payload = decode(Record(at, 0, 0, record.key, record.value, record.headers, 0))
    assert payload == DocumentDropped(reason="deleted")
    assert (envelope.tenant, envelope.document, envelope.revision) == ("demo", name, answer["through"])
    assert (envelope.job, envelope.part, envelope.run, envelope.plan) == ("", 0, 1, DOCUMENT.hash)


async def test_a_deletion_that_the_log_did_not_take_is_not_accepted(world: World, client: httpx2.AsyncClient) -> None:
    world.publisher.down = True
    response = await client.delete("/v1/documents/a")
    assert (response.status_code, response.json()["code"]) == (503, "log_unavailable")

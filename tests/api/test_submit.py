"""POST /v1/jobs: what is stored, what is published, what is refused."""

import hashlib
import itertools
import unicodedata
from collections.abc import AsyncIterator

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.app import create_app
from api.uploads import clean_filename
from schemas import topics
from schemas.codec import decode
from schemas.documents import JobSubmitted
from schemas.plans import DOCUMENT
from schemas.records import Partition, Record
from tests.fakes import World

PDF = b"%PDF-1.7\nhello"
BOUNDARY = b"b0undary"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


async def post(world: World, body: bytes | AsyncIterator[bytes], **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(create_app(world.parts()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        given = {"authorization": "Bearer demo-key", **FORM, **headers}
        return await client.post("/v1/jobs", content=body, headers=given)


async def test_an_accepted_document_is_stored_and_on_the_log_before_the_202() -> None:
    world = World()
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    body = form(part("document_id", "Rechnung Ä".encode()), part("file", PDF, "a.pdf"), part("lane", b"bulk"))
    response = await post(world, body, traceparent=trace)
    assert response.status_code == 202, response.text
    accepted = response.json()
    assert accepted["state"] == "queued"
    assert accepted["document_id"] == "Rechnung Ä"
    assert response.headers["location"] == f"/v1/jobs/{accepted['id']}"
    [published] = world.publisher.published
    assert (published.topic, published.key) == (topics.JOBS.name, accepted["id"].encode())
    at = Partition(topics.JOBS.name, 0)
    envelope, payload = decode(Record(at, 0, 0, published.key, published.value, published.headers, 0))
    assert isinstance(payload, JobSubmitted)
    assert world.blobs.read(payload.source) == PDF
    assert payload.source.sha256 == accepted["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert (envelope.tenant, envelope.run, envelope.part, envelope.lane) == ("demo", 1, 0, "bulk")
    assert (envelope.plan, envelope.document) == (DOCUMENT.hash, "Rechnung Ä")
    assert envelope.revision == accepted["revision"]
    assert abs(envelope.revision / 1e6 - envelope.at.timestamp()) < 0.001
    assert envelope.traceparent.split("-")[1] == "a" * 32
    assert envelope.traceparent != trace


async def test_what_the_caller_leaves_out_is_made() -> None:
    world = World()
    response = await post(world, form(part("file", PDF, ""), part("deadline_seconds", b"60")))
    assert response.status_code == 202
    assert response.json()["document_id"].startswith("doc_")
    headers = dict(world.publisher.published[0].headers)
    assert headers["ce_lane"] == b"interactive"
    assert headers["ce_deadline"] > headers["ce_time"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (form(part("file", b"", "a.pdf")), 422, "empty_input"),
        (form(part("file", b"MZ\x90\x00", "a.pdf")), 415, "unsupported_media_type"),
        (form(part("file", b"\x00" * 2000 + PDF, "a.pdf")), 415, "unsupported_media_type"),
        (form(part("file", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.png")), 415, "unsupported_media_type"),
        (form(part("lane", b"bulk")), 422, "invalid_request"),
        (form(part("file", PDF, "a"), part("file", PDF, "b")), 422, "invalid_request"),
        (form(part("file", PDF, "a"), part("colour", b"red")), 422, "invalid_request"),
        (form(part("upload", PDF, "a.pdf")), 422, "invalid_request"),
        (form(part("lane", b"bulk"), part("lane", b"bulk"), part("file", PDF)), 422, "invalid_request"),
        (form(part("file", PDF), part("lane", b"express")), 422, "invalid_request"),
        (form(part("file", PDF), part("document_id", b"a\x00b")), 422, "invalid_request"),
        (form(part("file", PDF), part("document_id", b"..")), 422, "invalid_request"),
        (form(part("file", PDF), part("document_id", b"\xff")), 422, "invalid_request"),
        (form(part("file", PDF), part("document_id", b"x" * 257)), 422, "invalid_request"),
        (form(part("file", PDF), part("document_id", b"x" * 5000)), 422, "invalid_request"),
        (form(part("file", PDF), part("document_id", b"")), 422, "invalid_request"),
        (form(part("file", PDF), part("deadline_seconds", b"nan")), 422, "invalid_request"),
        (form(part("file", PDF), part("deadline_seconds", b"-1")), 422, "invalid_request"),
        (form(part("file", PDF), part("deadline_seconds", b"1e400")), 422, "invalid_request"),
        (part("file", PDF), 400, "bad_request"),
        (b"", 400, "bad_request"),
        (b"no form at all", 400, "bad_request"),
        (form(part("file", PDF + b"x" * 2_000_000)), 413, "too_large"),
        (form(b"--" + BOUNDARY + b"\r\n" + b"X: " + b"y" * 10_000 + b"\r\n\r\n"), 400, "bad_request"),
    ],
    ids=lambda value: value[:60] if isinstance(value, bytes) else None,
)
async def test_a_bad_form_gets_a_stable_code_and_leaves_nothing(body: bytes, status: int, code: str) -> None:
    world = World()
    response = await post(world, body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert world.publisher.published == []
    assert world.blobs.kept == {}


async def test_ten_thousand_fields_are_refused_at_the_first_unknown_one() -> None:
    response = await post(World(), form(*[part(f"f{number}", b"x") for number in range(10_000)]))
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/f0")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"content-type": "multipart/form-data"}, 400, "bad_request"),
        ({"content-type": "multipart/form-data; boundary=" + "x" * 300}, 400, "bad_request"),
        ({"content-type": "application/json"}, 415, "unsupported_media_type"),
        ({"content-type": ""}, 415, "unsupported_media_type"),
        ({"content-encoding": "gzip"}, 415, "unsupported_media_type"),
        ({"content-length": "100000000000"}, 413, "too_large"),
    ],
)
async def test_bad_headers_get_a_stable_code(headers: dict[str, str], status: int, code: str) -> None:
    response = await post(World(), form(part("file", PDF)), **headers)
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_an_endless_chunked_body_is_cut_off() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield part("file", PDF).removesuffix(b"\r\n")
        for _ in range(100):
            yield b"x" * 65536

    world = World()
    response = await post(world, endless())
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert world.blobs.kept == {}


async def test_when_the_log_is_down_nothing_is_accepted_and_the_bytes_stay() -> None:
    world = World()
    world.publisher.down = True
    response = await post(world, form(part("file", PDF)))
    assert (response.status_code, response.json()["code"]) == (503, "log_unavailable")
    assert response.headers["retry-after"] == "3"
    assert response.json()["retryable"] is True
    # The publish may have reached the log without our knowing: a record without its bytes would be a loss.
    assert list(world.blobs.kept.values()) == [PDF]


async def test_when_the_blob_store_is_down_nothing_is_published() -> None:
    world = World()
    world.blobs.down = True
    response = await post(world, form(part("file", PDF)))
    assert (response.status_code, response.json()["code"]) == (503, "dependency_down")
    assert "retry-after" in response.headers
    assert world.publisher.published == []


async def test_submitting_needs_no_database() -> None:
    world = World()
    world.jobs.down = True
    assert (await post(world, form(part("file", PDF)))).status_code == 202


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(min_value=0, max_value=3000), max_size=40), content=st.binary(max_size=2500))
async def test_any_split_of_the_body_gives_the_same_upload(cuts: list[int], content: bytes) -> None:
    whole = PDF + content + b"\r\n--b0undar" + content  # almost a boundary
    body = form(part("document_id", b"d"), part("file", whole, "x.pdf"), part("lane", b"bulk"))
    edges = sorted({0, len(body), *(cut % len(body) for cut in cuts)})

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in itertools.pairwise(edges):
            yield body[start:end]

    world = World()
    response = await post(world, pieces())
    assert response.status_code == 202, response.text
    assert response.json()["sha256"] == hashlib.sha256(whole).hexdigest()
    assert list(world.blobs.kept.values()) == [whole]
    assert (response.json()["document_id"], response.json()["filename"]) == ("d", "x.pdf")


@given(st.text(max_size=400))
def test_a_cleaned_filename_is_short_printable_and_no_path(name: str) -> None:
    clean = clean_filename(name)
    assert len(clean) <= 255
    assert not {"/", "\\"} & set(clean)
    assert clean not in {".", ".."}
    assert not any(unicodedata.category(character)[0] == "C" for character in clean)
    assert clean_filename(clean) == clean


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.pdf", "a.pdf"),
        ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie: x.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("..", ""),
        ("x" * 4096, "x" * 255),
    ],
)
def test_hostile_filenames_become_harmless(name: str, clean: str) -> None:
    assert clean_filename(name) == clean

"""What a caller is told when something is wrong: one shape, stable codes, never the insides."""

import re

import httpx2
import pytest

from schemas.ids import JobIds
from tests.fakes import World


def check_problem(response: httpx2.Response, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"/problems/{code}"
    assert body["instance"] == response.request.url.path
    assert body["request_id"] == response.headers["x-request-id"]
    return body


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic demo-key"},
        {"authorization": "demo-key"},
        {"authorization": "Bearer d\xe9mo"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/jobs"), ("GET", "/v1/jobs/x"), ("GET", "/v1/jobs/x/result"), ("POST", "/v1/search")],
)
async def test_without_a_known_key_every_resource_answers_401(
    client: httpx2.AsyncClient, headers: dict[str, str], method: str, path: str
) -> None:
    coded = {name: value.encode("latin-1") for name, value in headers.items()}
    response = await client.request(method, path, headers=coded, json={"query": "x"})
    check_problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_in_the_query_is_never_read(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/jobs/x?api_key=demo-key&access_token=demo-key", headers={"authorization": ""})
    check_problem(response, 401, "unauthorized")


async def test_unknown_routes_and_methods_are_problems_too(client: httpx2.AsyncClient) -> None:
    check_problem(await client.get("/nope"), 404, "not_found")
    response = await client.delete("/v1/jobs")
    check_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, POST"


async def test_a_callers_request_id_is_kept_only_when_it_is_harmless(client: httpx2.AsyncClient) -> None:
    kept = await client.get("/livez", headers={"x-request-id": "my-id_1.2"})
    assert kept.headers["x-request-id"] == "my-id_1.2"
    made = await client.get("/livez", headers={"x-request-id": "a b\tc"})
    assert re.fullmatch(r"req_[0-9a-f]{24}", made.headers["x-request-id"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"{", 400, "bad_request"),
        (b"\xff\xfe", 400, "bad_request"),
        (b'{"query":"x","limit":NaN}', 400, "bad_request"),
        (b'{"query":"x","limit":Infinity}', 400, "bad_request"),
        (b'{"query":"x","limit":1e400}', 400, "bad_request"),
        (b'{"query":"x","limit":' + b"9" * 5000 + b"}", 400, "bad_request"),
        (b'{"query":' + b"[" * 100_000, 400, "bad_request"),
        (b'{"query":"\\ud800"}', 422, "invalid_request"),
        (b'{"query":"x","\\ud800":1}', 422, "invalid_request"),
        (b'{"query":""}', 422, "invalid_request"),
        (b'{"query":"x","limit":0}', 422, "invalid_request"),
        (b'{"query":"x","limit":1000000000}', 422, "invalid_request"),
        (b'{"query":"x","tenant":"other"}', 422, "invalid_request"),
        (b'{"query":"x","document_id":"a\\u0000b"}', 422, "invalid_request"),
        (b'{"query":"' + b"x" * 1_100_000 + b'"}', 413, "too_large"),
    ],
    ids=str,
)
async def test_a_hostile_json_body_gets_a_stable_code(
    client: httpx2.AsyncClient, body: bytes, status: int, code: str
) -> None:
    response = await client.post("/v1/search", content=body, headers={"content-type": "application/json"})
    check_problem(response, status, code)


async def test_validation_names_each_field_by_pointer_and_repeats_no_input(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/search", json={"query": "", "limit": 1000, "a/b~c": "private words"})
    body = check_problem(response, 422, "invalid_request")
    errors = body["errors"]
    assert isinstance(errors, list)
    assert {error["pointer"] for error in errors} == {"/query", "/limit", "/a~1b~0c"}
    assert "private words" not in response.text


async def test_an_unexpected_error_is_a_500_that_tells_nothing(
    world: World, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(_: JobIds, job: str, tenant: str) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(JobIds, "check", explode)
    response = await client.get("/v1/jobs/x")
    body = check_problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert str(body["request_id"]) in caplog.text
    assert body["retryable"] is True


async def test_the_description_is_openapi_3_1_and_declares_the_problems(client: httpx2.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    responses = described["paths"]["/v1/jobs"]["post"]["responses"]
    assert {"202", "400", "401", "413", "415", "422", "503"} <= responses.keys()
    assert "application/problem+json" in responses["503"]["content"]
    assert "Problem" in described["components"]["schemas"]
    assert "422" not in described["paths"]["/v1/jobs/{job}"]["get"]["responses"]
    form = described["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {
        "file", "document_id", "lane", "metadata", "tags", "plan", "model", "deadline_seconds",
    }  # fmt: skip
    assert "security" in described["paths"]["/v1/jobs/{job}"]["get"]
    assert "security" not in described["paths"]["/livez"]["get"]

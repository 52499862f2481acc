"""What a JSON body may be: it says that it is one, names each thing once, and its values are of the type asked for."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute

from api.app import _ROUTES
from api.json_route import JsonRoute
from schemas.jobs import MOST_PAGES, SearchRequest
from tests.api.test_errors import check_problem
from tests.fakes import World

_JSON = {"content-type": "application/json"}
_SEARCH = "/v1/search"


def _routes() -> Iterator[APIRoute]:
    for module in _ROUTES:
        yield from (route for route in module.router.routes if isinstance(route, APIRoute))


def test_every_route_that_takes_json_is_one_that_looks_at_it() -> None:
    taking = [route for route in _routes() if route.body_field is not None and route.path != "/v1/oauth/token"]
    assert {"/v1/search", "/v1/embeddings", "/v1/keys", "/v1/webhook-endpoints"} <= {route.path for route in taking}
    assert [route.path for route in taking if not isinstance(route, JsonRoute)] == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"query":"a","query":"b"}',
        b'{"query":"a","document_id":"x","document_id":"x"}',
        b'{"query":"a","more":{"deep":[{"a":1,"a":1}]}}',
        b'{"query":"a","\\u0071uery":"b"}',
    ],
)
async def test_a_name_that_is_given_twice_is_refused_wherever_it_stands(
    client: httpx2.AsyncClient, body: bytes
) -> None:
    check_problem(await client.post(_SEARCH, content=body, headers=_JSON), 400, "bad_request")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "a"]
)
async def test_a_body_that_does_not_say_that_it_is_json_is_refused(client: httpx2.AsyncClient, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    check_problem(await client.post(_SEARCH, content=b'{"query":"a"}', headers=headers), 415, "not_json")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/problem+json"])
async def test_json_is_json_in_every_spelling(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.post(_SEARCH, content=b'{"query":"a"}', headers={"content-type": kind})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("value", [True, False, "5", 5.0, [5], {"a": 5}], ids=repr)
@pytest.mark.parametrize(
    ("path", "field", "body"),
    [
        (_SEARCH, "limit", {"query": "a"}),
        (_SEARCH, "page", {"query": "a"}),
        ("/v1/embeddings", "dimensions", {"input": "a", "model": "m"}),
    ],
)
async def test_only_a_whole_number_is_one(
    client: httpx2.AsyncClient, path: str, field: str, body: dict[str, Any], value: Any
) -> None:
    answer = await client.post(path, json={**body, field: value})
    if path == "/v1/embeddings":
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == field
    else:
        assert check_problem(answer, 422, "invalid_request")["errors"][0]["pointer"] == f"/{field}"  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "field", "body", "value"),
    [
        ("/v1/keys", "expires_in_days", {"name": "a"}, True),
        ("/v1/keys", "expires_in_days", {"name": "a"}, "90"),
        ("/v1/keys", "limits/jobs", {"name": "a"}, True),
        ("/v1/keys", "limits/jobs", {"name": "a"}, "5"),
        ("/v1/keys", "name", {}, 5),
        ("/v1/keys", "scopes", {"name": "a"}, "jobs:read"),
        ("/v1/jobs/cancel", "all", {}, 1),
        ("/v1/jobs/cancel", "all", {}, "true"),
        ("/v1/jobs/cancel", "where/since", {}, 5),
        ("/v1/jobs/cancel", "where/since", {}, "5"),
        ("/v1/jobs/cancel", "where/since", {}, "0001-01-01T00:00:00+14:00"),
        ("/v1/jobs/retry", "where/document_id", {}, "a\0"),
        ("/v1/dead-letters/redrive", "where/step", {}, "a\0"),
        (_SEARCH, "document_id", {"query": "a"}, "a\0"),
        ("/v1/dead-letters/discard", "all", {}, 1.0),
        ("/v1/dead-letters/discard", "where/until", {}, True),
        ("/v1/webhook-endpoints/we_q3v5m2kzc4hx7abn/rotate", "overlap_hours", {}, "24"),
    ],
)
async def test_no_value_is_taken_for_one_of_another_type(
    client: httpx2.AsyncClient, path: str, field: str, body: dict[str, Any], value: Any
) -> None:
    for name in reversed(field.split("/")[1:]):
        value = {name: value}
    answer = await client.post(path, json={**body, field.split("/", maxsplit=1)[0]: value})
    errors = check_problem(answer, 422, "invalid_request")["errors"]
    assert [error["pointer"] for error in errors] == [f"/{field}"]  # type: ignore[attr-defined]


async def test_a_page_that_no_document_has_is_not_found(client: httpx2.AsyncClient) -> None:
    """In no number that a database cannot hold."""
    assert SearchRequest(query="a", page=2**70).page == MOST_PAGES + 1
    answer = await client.post(_SEARCH, json={"query": "a", "page": 2**70})
    assert (answer.status_code, answer.json()["hits"]) == (200, [])


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/v1/jobs", "document_id", "a\0"),
        ("/v1/jobs", "until", "9999-12-31T23:59:59-14:00"),
        ("/v1/jobs", "since", "5"),
        ("/v1/dead-letters", "cause", "a\0"),
        ("/v1/dead-letters/causes", "job", "a\0"),
    ],
)
async def test_no_filter_of_a_list_holds_what_no_database_takes(
    client: httpx2.AsyncClient, path: str, field: str, value: str
) -> None:
    errors = check_problem(await client.get(path, params={field: value}), 422, "invalid_request")["errors"]
    assert [error["pointer"] for error in errors] == [f"/{field}"]  # type: ignore[attr-defined]


async def test_a_filter_that_is_too_long_is_told_so_in_characters(client: httpx2.AsyncClient) -> None:
    for answer in (
        await client.get("/v1/jobs", params={"document_id": "a" * 257}),
        await client.get("/v1/dead-letters", params={"cause": "a" * 17}),
        await client.post("/v1/jobs/cancel", json={"jobs": ["a" * 65]}),
        await client.post(_SEARCH, json={"query": "a", "document_id": "a" * 257}),
    ):
        assert check_problem(answer, 422, "invalid_request")["errors"][0]["code"] == "string_too_long"  # type: ignore[index]


async def test_a_change_of_an_endpoint_is_as_strict(client: httpx2.AsyncClient) -> None:
    answer = await client.patch("/v1/webhook-endpoints/we_q3v5m2kzc4hx7abn", json={"enabled": "false"})
    assert check_problem(answer, 422, "invalid_request")["errors"][0]["pointer"] == "/enabled"  # type: ignore[index]


async def test_a_hundred_thousand_names_are_refused_and_a_million_unread(client: httpx2.AsyncClient) -> None:
    names = b",".join(b'"%d":1' % number for number in range(90_000))
    assert len(names) < 1024 * 1024
    answer = check_problem(await client.post(_SEARCH, content=b"{%s}" % names, headers=_JSON), 422, "invalid_request")
    assert len(answer["errors"]) <= 21  # type: ignore[arg-type]
    million = b"{%s}" % b",".join(b'"%d":1' % number for number in range(1_000_000))
    check_problem(await client.post(_SEARCH, content=million, headers=_JSON), 413, "too_large")


async def test_what_is_given_once_in_each_of_two_objects_is_no_repeat(client: httpx2.AsyncClient, world: World) -> None:
    body = b'{"where":{"since":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"}}'
    answer = await client.post("/v1/jobs/cancel", content=body, headers=_JSON)
    assert answer.status_code == 202, answer.text

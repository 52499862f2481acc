"""Limits as callers meet them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from api.app import create_app
from schemas.limits import Limits, NewLimits
from schemas.scopes import EVERY_SCOPE
from tests.api.test_submit import PDF
from tests.fakes import World


@pytest.fixture
def world() -> World:
    return World()


@asynccontextmanager
async def api(world: World, **limits: Any) -> AsyncIterator[Callable[..., Any]]:
    """Calls of an API with these settings, by whoever holds a key."""
    world.more = limits
    transport = httpx2.ASGITransport(create_app(world.parts()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:

        async def call(key: str = "demo-key", path: str = "/v1/jobs", **how: Any) -> httpx2.Response:
            method = "POST" if "json" in how or "files" in how or "content" in how else "GET"
            headers = {"authorization": f"Bearer {key}", **how.pop("headers", {})}
            return await client.request(method, path, headers=headers, **how)

        yield call


async def test_each_answer_tells_what_remains_and_beyond_it_is_429(world: World) -> None:
    async with api(world, limits=NewLimits(requests="3/hour")) as call:
        answers = [await call() for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"requests";q=3;w=3600'}
        body = answers[-1].json()
        assert (body["code"], body["retryable"], body["violated-policies"]) == ("rate_limited", True, ["requests"])
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 7200
        assert (await call("other-key")).status_code == 200
        assert (await call(path="/livez")).headers.get("ratelimit") is None
        assert (await call("no-key")).status_code == 401


async def test_who_comes_too_quickly_is_to_slow_down(world: World) -> None:
    async with api(world, limits=NewLimits(burst="2/minute", requests="100/hour")) as call:
        last = [await call() for _ in range(3)][-1]
        assert (last.status_code, last.json()["code"]) == (429, "slow_down")
        assert last.json()["violated-policies"] == ["burst"]
        assert last.headers["ratelimit-policy"] == '"burst";q=2;w=60, "requests";q=100;w=3600'


async def test_forbidden_requests_count_as_well(world: World) -> None:
    key = world.entries.give("demo", "search")
    async with api(world, limits=NewLimits(requests="2/hour")) as call:
        assert [(await call(key)).status_code for _ in range(3)] == [403, 403, 429]


async def test_a_keys_own_limits_are_beside_its_tenants(world: World) -> None:
    tight, free = (
        world.entries.give("demo", *EVERY_SCOPE, limits=Limits(requests="1/hour")),
        world.entries.give("demo", *EVERY_SCOPE),
    )
    async with api(world, limits=NewLimits(requests="4/hour")) as call:
        first = await call(tight)
        assert first.headers["ratelimit-policy"] == '"key-requests";q=1;w=3600, "requests";q=4;w=3600'
        second = await call(tight)
        assert (second.status_code, second.json()["violated-policies"]) == (429, ["key-requests"])
        assert [(await call(free)).status_code for _ in range(4)] == [200, 200, 200, 429]


async def test_documents_count_by_their_bytes_and_what_is_refused_is_not_kept(world: World) -> None:
    document = {"file": ("a.pdf", PDF)}
    async with api(world, limits=NewLimits(bytes="1000/hour")) as call:
        first = await call(files=document)
        assert first.status_code == 202
        assert first.headers["ratelimit-policy"] == '"bytes";q=1000;w=3600;qu="content-bytes"'
        left = int(first.headers["ratelimit"].split(";")[1].removeprefix("r="))
        assert 0 < left < 1000 - len(PDF)
        statuses = [(await call(files=document)).status_code for _ in range(8)]
        assert statuses[-1] == 429
        kept = len(world.blobs.kept)
        assert kept == 1 + statuses.count(202)

        async def chunks() -> AsyncIterator[bytes]:
            yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
            yield PDF + b"x" * 1000 + b"\r\n--x--\r\n"

        told = {"content-type": "multipart/form-data; boundary=x"}
        unsized = await call(content=chunks(), headers=told)
        assert (unsized.status_code, unsized.json()["violated-policies"]) == (429, ["bytes"])
        assert len(world.blobs.kept) == kept


async def test_a_document_larger_than_the_whole_limit_goes_where_nothing_else_did(world: World) -> None:
    async with api(world, limits=NewLimits(bytes="10/hour")) as call:
        assert [(await call(files={"file": ("a.pdf", PDF)})).status_code for _ in range(2)] == [202, 429]


async def test_texts_count_by_their_tokens_and_openais_clients_are_told_in_their_words(world: World) -> None:
    async with api(world, limits=NewLimits(tokens="10/hour")) as call:
        wanted = {"model": (await call(path="/v1/models")).json()["data"][0]["id"], "input": "one two three"}
        answers = [await call(path="/v1/embeddings", json=wanted) for _ in range(12)]
        used = answers[0].json()["usage"]["total_tokens"]
        assert answers[0].headers["ratelimit"].startswith(f'"tokens";r={10 - used};t=')
        assert answers[0].headers["ratelimit-policy"] == '"tokens";q=10;w=3600;qu="tokens"'
        refused = answers[-1]
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(refused.headers["retry-after"]) >= 1
        assert [answer.status_code for answer in answers].count(200) == 10 // used


async def test_keys_are_made_with_limits_and_hand_them_on(world: World) -> None:
    async with api(world) as call:
        made = (await call(path="/v1/keys", json={"name": "scanner", "limits": {"requests": "9/minute"}})).json()
        assert made["limits"]["requests"] == "9/minute"
        below = (await call(made["key"], path="/v1/keys", json={"name": "below"})).json()
        assert below["limits"] == made["limits"]
        wrong = await call(path="/v1/keys", json={"name": "x", "limits": {"requests": "many"}})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/limits/requests")

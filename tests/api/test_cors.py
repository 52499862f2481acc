"""Pages of other origins: only those that are named, for all that the API says, and never with cookies."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from pydantic import ValidationError

from api.app import create_app
from schemas.settings import Settings
from tests.fakes import World

HERE, ELSEWHERE = "https://app.example.com", "https://evil.example.com"


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    parts = world.parts()
    told = parts.settings.model_copy(update={"cors_origins": (HERE,)})
    transport = httpx2.ASGITransport(create_app(replace(parts, settings=told)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


async def test_a_page_that_is_named_may_ask_and_read_what_it_needs(client: httpx2.AsyncClient) -> None:
    asked = {"origin": HERE, "access-control-request-method": "POST"}
    wanted = {"access-control-request-headers": "authorization,idempotency-key,prefer"}
    before = await client.options("/v1/jobs", headers=asked | wanted)
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == HERE
    assert "access-control-allow-credentials" not in before.headers
    answer = await client.get("/v1/jobs", headers={"origin": HERE, "authorization": "Bearer demo-key"})
    assert answer.headers["access-control-allow-origin"] == HERE
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("key", ["demo-key", "none"])
async def test_a_refusal_can_be_read_by_the_page_that_asked(client: httpx2.AsyncClient, key: str) -> None:
    answer = await client.get("/v1/jobs/job_x", headers={"origin": HERE, "authorization": f"Bearer {key}"})
    assert answer.status_code in (401, 404)
    assert answer.headers["access-control-allow-origin"] == HERE


async def test_a_page_of_anywhere_else_is_told_nothing_of_it(client: httpx2.AsyncClient) -> None:
    asked = {"origin": ELSEWHERE, "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in (await client.options("/v1/jobs", headers=asked)).headers
    assert "access-control-allow-origin" not in (await client.get("/livez", headers={"origin": ELSEWHERE})).headers


async def test_without_the_setting_nobody_is_named(world: World) -> None:
    transport = httpx2.ASGITransport(create_app(world.parts()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/livez", headers={"origin": HERE})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", ["*", "https://a/", "null", "a.example", "https://*.example"])
def test_what_is_no_origin_is_told_at_the_start(origin: str) -> None:
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(cors_origins=origin)  # type: ignore[arg-type]  # as the environment says it

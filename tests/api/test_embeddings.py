"""Embeddings and models as OpenAI's own client finds them, with the real model, and what a bad request is told."""

import asyncio
import base64
import dataclasses
import math
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
import pytest

from processors.engines.minilm_embedder import MiniLmEmbedder
from schemas.plans import DOCUMENT
from schemas.settings import Settings
from tests.api.followed import serving, within
from tests.fakes import FakeEmbedder, World
from tests.served import served

TEXTS = ["A man is eating food.", "Someone eats a meal.", "The stock market fell sharply on Monday."]


@pytest.fixture(scope="module")
def embedder() -> MiniLmEmbedder:
    return MiniLmEmbedder(Settings().models / "minilm", **DOCUMENT.options("embed"))


@contextmanager
def sdk(world: World, **options: Any) -> Iterator[openai.OpenAI]:
    with served(world) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="demo-key", max_retries=0, **options) as one:
        yield one


@pytest.fixture(scope="module")
def client(embedder: MiniLmEmbedder) -> Iterator[openai.OpenAI]:
    with sdk(World(embedder=embedder)) as client:
        yield client


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_the_sdk_gets_the_models_own_vectors_in_both_encodings(
    client: openai.OpenAI, embedder: MiniLmEmbedder, form: Any
) -> None:
    given = {} if form is None else {"encoding_format": form}  # without it, the SDK asks for base64 by itself
    answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=TEXTS, user="u", **given)
    assert (answer.object, answer.model, len(answer.data)) == ("list", "all-MiniLM-L6-v2", 3)
    assert [item.index for item in answer.data] == [0, 1, 2]
    expected = embedder.embed(TEXTS)
    for item, vector in zip(answer.data, expected, strict=True):
        assert item.object == "embedding"
        got: Any = item.embedding
        if isinstance(got, str):
            got = struct.unpack("<384f", base64.b64decode(got))
        assert got == pytest.approx(vector, abs=1e-6)
        assert math.isclose(cosine(got, got), 1, abs_tol=1e-5)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(embedder.count(TEXTS)) == 8 + 7 + 10


def test_one_text_needs_no_list_and_the_models_dimensions_may_be_named(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="all-MiniLM-L6-v2", input="hello", dimensions=384)
    assert len(answer.data[0].embedding) == 384


def test_many_texts_keep_their_order(client: openai.OpenAI, embedder: MiniLmEmbedder) -> None:
    texts = [f"note {number} " + "word " * (number % 7) for number in range(50)]
    answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    assert [item.index for item in answer.data] == list(range(50))
    for number in (0, 7, 8, 49):
        assert cosine(answer.data[number].embedding, embedder.embed([texts[number]])[0]) > 0.9999


def test_models_are_listed_and_found_with_the_digest_of_their_weights(
    client: openai.OpenAI, embedder: MiniLmEmbedder
) -> None:
    [model] = client.models.list()
    assert (model.id, model.object, model.owned_by) == ("all-MiniLM-L6-v2", "model", "headrace")
    assert model.created > 1_700_000_000
    one: Any = client.models.retrieve("all-MiniLM-L6-v2")
    assert (one.step, one.digest, one.dimensions, one.max_tokens) == ("embed", embedder.stamp.digest, 384, 256)


WRONG: list[tuple[dict[str, Any], type[openai.APIStatusError], str, str | None]] = [
    ({"input": ""}, openai.BadRequestError, "invalid_request", "input.0"),
    ({"input": []}, openai.BadRequestError, "invalid_request", "input"),
    ({"input": ["a", ""]}, openai.BadRequestError, "invalid_request", "input.1"),
    ({"input": [1, 2]}, openai.BadRequestError, "invalid_request", "input"),
    ({"input": [[1, 2], [3]]}, openai.BadRequestError, "invalid_request", "input"),
    ({"input": ["a"] * 2049}, openai.BadRequestError, "invalid_request", "input"),
    ({"dimensions": 256}, openai.BadRequestError, "invalid_request", "dimensions"),
    ({"encoding_format": "hex"}, openai.BadRequestError, "invalid_request", "encoding_format"),
    ({"extra_body": {"colour": "red"}}, openai.BadRequestError, "invalid_request", "colour"),
    ({"input": ["a", "word " * 300]}, openai.BadRequestError, "context_length_exceeded", None),
    ({"model": "text-embedding-3-small"}, openai.NotFoundError, "model_not_found", None),
    ({"input": "x" * 1_100_000}, openai.APIStatusError, "too_large", None),
]


@pytest.mark.parametrize(("fields", "kind", "code", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_a_bad_request_is_the_error_that_the_sdk_knows(
    client: openai.OpenAI, fields: dict[str, Any], kind: type[openai.APIStatusError], code: str, param: str | None
) -> None:
    with pytest.raises(kind) as caught:
        client.embeddings.create(**{"model": "all-MiniLM-L6-v2", "input": "x"} | fields)
    assert (caught.value.code, caught.value.param, caught.value.type) == (code, param, "invalid_request_error")
    assert caught.value.request_id is not None
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}


def test_arrays_of_tokens_are_refused_with_what_to_do(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        client.embeddings.create(model="all-MiniLM-L6-v2", input=[[101, 7592, 102]])


def test_a_wrong_key_and_an_unknown_model_are_told_in_the_same_shape(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client.with_options(api_key="wrong").models.list()
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("nothing/at-all")
    assert missing.value.code == "model_not_found"


def test_a_model_that_can_not_be_loaded_is_a_server_error_to_come_back_for(world: World) -> None:
    world.embedder.broken = True
    with sdk(world) as client, pytest.raises(openai.InternalServerError) as caught:
        client.embeddings.create(model="m", input="x")
    assert (caught.value.status_code, caught.value.code, caught.value.type) == (503, "dependency_down", "server_error")
    assert caught.value.response.headers["retry-after"] == "5"
    assert "secret inside" not in caught.value.message


class Held(FakeEmbedder):
    """Counts what is asked of it, and waits for leave once it was warmed up."""

    def __init__(self) -> None:
        super().__init__()
        self.leave = threading.Event()
        self.asked: list[int] = []

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        if list(texts) != ["warm up"]:
            assert self.leave.wait(20)
            self.asked.append(len(texts))
        return super().embed(texts)


async def test_beyond_its_room_a_process_asks_callers_to_come_back_and_then_serves_all_it_took() -> None:
    held = Held()
    parts = dataclasses.replace(World().parts(), embedder=held)
    async with serving(parts) as (client, _):
        given = {"model": "m", "input": ["text"] * 20}
        posts = [asyncio.create_task(client.post("/v1/embeddings", json=given)) for _ in range(40)]
        await within(10, lambda: sum(post.done() for post in posts) == 24, "what has no room is refused at once")
        refused = [post.result() for post in posts if post.done()]
        assert {(answer.status_code, answer.json()["error"]["code"]) for answer in refused} == {(503, "overloaded")}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert (await client.get("/livez")).status_code == 200
        held.leave.set()
        served_ones = [answer for answer in await asyncio.gather(*posts) if answer.status_code == 200]
        assert [len(answer.json()["data"]) for answer in served_ones] == [20] * 16
    assert max(held.asked) <= 8  # others had their turn in between


async def test_a_search_does_not_wait_for_a_large_request_to_end() -> None:
    held = Held()
    parts = dataclasses.replace(World().parts(), embedder=held)
    async with serving(parts) as (client, server):
        large = asyncio.create_task(client.post("/v1/embeddings", json={"model": "m", "input": ["text"] * 2000}))
        await within(5, lambda: server.server_state.tasks, "the request is there")
        search = asyncio.create_task(client.post("/v1/search", json={"query": "x"}))
        await asyncio.sleep(0.2)
        held.leave.set()
        assert (await search).status_code == 200
        assert sum(held.asked) < 2000
        assert (await large).status_code == 200


async def test_a_caller_that_goes_away_is_not_worked_for_any_longer() -> None:
    held = Held()
    parts = dataclasses.replace(World().parts(), embedder=held)
    async with serving(parts) as (client, server):
        given = {"model": "m", "input": ["text"] * 2000}
        post = asyncio.create_task(client.post("/v1/embeddings", json=given))
        await within(5, lambda: server.server_state.tasks, "the request is there")
        await asyncio.sleep(0.3)
        post.cancel()
        await asyncio.gather(post, return_exceptions=True)
        await asyncio.sleep(0.1)
        held.leave.set()
        await within(5, lambda: not server.server_state.tasks, "the request is over")
        assert sum(held.asked) < 100


async def test_vectors_that_are_no_numbers_are_never_given(world: World) -> None:
    world.embedder.value = math.nan
    async with serving(world.parts()) as (client, _):
        answer = await client.post("/v1/embeddings", json={"model": "m", "input": "x"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")


async def test_errors_elsewhere_keep_their_own_shape(world: World) -> None:
    async with serving(world.parts()) as (client, _):
        answer: httpx2.Response = await client.post("/v1/search", json={})
        assert answer.headers["content-type"] == "application/problem+json"
        lost = await client.get("/v1/modelsx")
        assert lost.headers["content-type"] == "application/problem+json"

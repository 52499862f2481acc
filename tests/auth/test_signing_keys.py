"""An issuer's keys: when they are asked for, what is kept, and what a flood of made-up names costs."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from api.auth import signing_keys
from api.auth.signing_keys import REFRESH_SECONDS, UNKNOWN_SECONDS, SigningKeys
from schemas.errors import DependencyDown
from schemas.issuers import Issuer
from tests.auth.issuing import AUDIENCE, EC, ED, ISSUER, RSA, key_set, serving


class Server:
    """Answers for an issuer, and counts what it is asked."""

    def __init__(self) -> None:
        self.keys: Any = key_set(RSA)
        self.metadata: Any = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        self.status = 200
        self.down = False
        self.asked: list[str] = []
        self.now = 1000.0

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        if self.down:
            raise httpx2.ConnectError("down", request=request)
        if self.status != 200:
            return httpx2.Response(self.status, headers={"location": "https://evil.example/keys"})
        told = self.keys if request.url.path == "/keys" else self.metadata
        return httpx2.Response(200, content=told) if isinstance(told, bytes) else httpx2.Response(200, json=told)

    def source(self, **changes: Any) -> SigningKeys:
        issuer = Issuer(**({"issuer": ISSUER, "audience": AUDIENCE, "jwks": f"{ISSUER}/keys"} | changes))
        return SigningKeys(issuer, serving(self.answer), lambda: self.now)

    def fetches(self) -> int:
        return self.asked.count("/keys")


@pytest.fixture
def server() -> Server:
    return Server()


async def _kids(source: SigningKeys, kid: str | None = None) -> list[str | None]:
    return [key.kid for key in await source.named(kid)]


async def test_keys_are_fetched_once_for_all_who_come_at_once(server: Server) -> None:
    source = server.source()
    found = await asyncio.gather(*(_kids(source, "rsa") for _ in range(20)))
    assert found == [["rsa"]] * 20
    assert server.fetches() == 1


async def test_a_rotation_is_heard_of_by_the_first_token_with_the_new_key(server: Server) -> None:
    source = server.source()
    assert await _kids(source, "rsa") == ["rsa"]
    server.keys = key_set(RSA, EC)
    server.now += UNKNOWN_SECONDS
    assert await _kids(source, "ec") == ["ec"]
    assert await _kids(source, "rsa") == ["rsa"], "the old key overlaps"
    server.keys = key_set(EC)
    server.now += UNKNOWN_SECONDS
    assert await _kids(source, "ed") == []
    assert await _kids(source, "rsa") == [], "the old key is gone"


async def test_made_up_names_ask_the_issuer_no_more_than_twice_a_minute(server: Server) -> None:
    source = server.source()
    await source.named("rsa")
    for number in range(300):
        server.now += 1
        assert await _kids(source, f"made-up-{number}") == []
    assert server.fetches() <= 1 + 300 / UNKNOWN_SECONDS
    assert await _kids(source, "rsa") == ["rsa"]


async def test_old_keys_serve_while_new_ones_are_fetched_beside(server: Server) -> None:
    source = server.source()
    await source.named("rsa")
    server.keys = key_set(EC)
    server.now += REFRESH_SECONDS + 1
    assert await _kids(source, "rsa") == ["rsa"], "nobody waits for the fetch"
    async with asyncio.timeout(5):
        while await _kids(source, "ec") != ["ec"]:
            await asyncio.sleep(0)
    assert server.fetches() == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda server: setattr(server, "down", True),
        lambda server: setattr(server, "status", 500),
        lambda server: setattr(server, "status", 302),
        lambda server: setattr(server, "keys", b"<html>"),
        lambda server: setattr(server, "keys", {"keys": []}),
        lambda server: setattr(server, "keys", {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa"}]}),
        lambda server: setattr(server, "keys", b" " * 300 * 1024),
        lambda server: setattr(server, "keys", b"[" * 100_000),
    ],
    ids=["down", "500", "redirect", "no json", "empty", "secret", "too long", "brackets"],
)
async def test_the_last_good_keys_stay_whatever_the_issuer_says_later(
    server: Server, spoil: Callable[[Server], None], caplog: pytest.LogCaptureFixture
) -> None:
    source = server.source()
    await source.named("rsa")
    spoil(server)
    with caplog.at_level(logging.WARNING):
        server.now += REFRESH_SECONDS + 1
        assert await _kids(source, "rsa") == ["rsa"]
        assert await _kids(source, "ec") == []
        assert await _kids(source, "rsa") == ["rsa"]
    assert ISSUER in caplog.text


async def test_an_issuer_that_never_answered_is_a_dependency_that_is_down(server: Server) -> None:
    server.down = True
    source = server.source()
    for _ in range(10):
        with pytest.raises(DependencyDown, match="keys cannot be fetched"):
            await source.named("rsa")
    assert server.fetches() == 1, "no more than once a second"
    server.down = False
    server.now += signing_keys.UNKNOWN_SECONDS
    assert await _kids(source, "rsa") == ["rsa"]


async def test_without_an_address_the_issuer_s_metadata_tells_it(server: Server) -> None:
    assert await _kids(server.source(jwks=None), "rsa") == ["rsa"]
    assert server.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example", "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": ISSUER, "jwks_uri": "http://login.example/keys"},
        {"issuer": ISSUER, "jwks_uri": 7},
        {"issuer": ISSUER},
        [1],
        b"nothing",
    ],
)
async def test_metadata_that_cannot_be_trusted_names_no_keys(server: Server, metadata: Any) -> None:
    server.metadata = metadata
    with pytest.raises(DependencyDown):
        await server.source(jwks=None).named("ed")
    assert server.fetches() == 0


async def test_of_too_many_keys_the_first_hundred_are_taken(server: Server) -> None:
    told = ED.as_dict(private=False)
    server.keys = {"keys": [{**told, "kid": str(number)} for number in range(150)]}
    assert len(await server.source().named(None)) == 100

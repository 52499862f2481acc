"""An issuer's keys: when they are asked for, what is kept, and what a flood of made-up names costs."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from api.auth import jws, signing_keys
from api.auth.access_tokens import AccessTokens
from api.auth.signing_keys import REFRESH_SECONDS, UNKNOWN_SECONDS, SigningKeys
from schemas.errors import DependencyDown, Unauthorized
from schemas.issuers import Issuer
from tests.auth.issuing import AUDIENCE, EC, ED, ISSUER, RSA, key_set, serving, token

OTHER_EC = ECKey.generate_key("P-256", {"kid": "ec"})  # an RSA key in a header makes it too long for joserfc


class Server:
    """Answers for an issuer, and counts what it is asked."""

    def __init__(self) -> None:
        self.keys: Any = key_set(RSA)
        self.metadata: Any = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        self.status = 200
        self.down = False
        self.asked: list[str] = []
        self.addresses: set[str] = set()
        self.now = 1000.0

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        self.addresses.add(str(request.url))
        if self.down:
            raise httpx2.ConnectError("down", request=request)
        if self.status != 200:
            return httpx2.Response(self.status, headers={"location": "https://evil.example/keys"})
        told = self.keys if request.url.path == "/keys" else self.metadata
        return httpx2.Response(200, content=told) if isinstance(told, bytes) else httpx2.Response(200, json=told)

    def issuer(self, **changes: Any) -> Issuer:
        return Issuer(**({"issuer": ISSUER, "audience": AUDIENCE, "jwks": f"{ISSUER}/keys"} | changes))

    def source(self, **changes: Any) -> SigningKeys:
        return SigningKeys(self.issuer(**changes), serving(self.answer), lambda: self.now)

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


async def test_ten_thousand_made_up_names_at_one_moment_are_one_question(server: Server) -> None:
    all_came = asyncio.Event()

    async def held_up(request: httpx2.Request) -> httpx2.Response:
        await all_came.wait()
        return server.answer(request)

    async def last() -> None:  # tasks begin in the order in which they were made
        all_came.set()

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(held_up)) as client:
        source = SigningKeys(server.issuer(), client, lambda: server.now)
        for fetched in (1, 2):  # the first time no key is known yet
            all_came.clear()
            asking = (_kids(source, f"made-up-{number}") for number in range(10_000))
            *found, _ = await asyncio.gather(*asking, last())
            assert found == [[]] * 10_000
            assert server.fetches() == fetched
            server.now += UNKNOWN_SECONDS


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """An address that gives out the keys of somebody else, and what it was asked."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = json.dumps(key_set(OTHER_EC)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{listener.server_port}", asked
        listener.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("jwks", "documents"),
    [(f"{ISSUER}/keys", {"/keys"}), (None, {"/.well-known/openid-configuration", "/keys"})],
    ids=["keys", "metadata"],
)
async def test_no_token_sends_us_to_an_address_that_its_issuer_is_not_known_by(
    server: Server, elsewhere: tuple[str, list[str]], jwks: str | None, documents: set[str]
) -> None:
    evil, asked_there = elsewhere
    wishes: list[dict[str, Any]] = [
        {"jku": f"{evil}/keys"},
        {"x5u": f"{evil}/certificate"},
        {"jwk": OTHER_EC.as_dict(private=False)},
        {"jku": f"{evil}/keys", "x5u": f"{evil}/certificate", "jwk": OTHER_EC.as_dict(private=False)},
    ]
    names = ("ec", f"{evil}/key", "../../etc/passwd", "' OR 1=1 --", "a" * 10_000, "made up", None)
    tokens = AccessTokens(server.issuer(jwks=jwks), server.source(jwks=jwks))
    began, server.keys = server.now, key_set(RSA, EC)
    for wish in wishes:
        for name in names:
            server.now += 1
            presented = token(OTHER_EC, "ES256", wish | {"kid": name})
            assert len(presented) < jws.MOST_CHARACTERS, "it is not its length"
            with pytest.raises(Unauthorized):
                await tokens.identify(presented)
    assert asked_there == []
    assert server.addresses == {f"{ISSUER}{path}" for path in documents}
    assert server.fetches() <= 1 + (server.now - began) / UNKNOWN_SECONDS
    assert (await tokens.identify(token())).tenant == "demo"


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

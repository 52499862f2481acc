"""Access tokens of a real Keycloak: its types, its rotation, and its absence."""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import httpx2
import pytest

from api.app import create_app
from api.auth.access_tokens import AccessTokens
from api.auth.signing_keys import UNKNOWN_SECONDS, SigningKeys
from schemas.issuers import Issuer
from tests.auth import keycloak
from tests.auth.keycloak import Keycloak
from tests.fakes import World

pytestmark = [pytest.mark.needs("keycloak"), pytest.mark.long]
AUDIENCE = "https://api.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with keycloak.running(tmp_path_factory.mktemp("keycloak")) as (server, child):
        server.set_up(AUDIENCE, "demo")
        server.end = lambda: os.killpg(child.pid, 9)  # type: ignore[attr-defined]
        yield server


class Door:
    """An API over fakes that lets this Keycloak's tokens in; `now` may be moved."""

    def __init__(self, server: Keycloak, world: World, **issuer: object) -> None:
        self.passed = 0.0
        settings = Issuer.model_validate({"issuer": server.issuer, "audience": AUDIENCE} | issuer)
        self._fetcher = httpx2.AsyncClient(trust_env=False)
        source = SigningKeys(settings, self._fetcher, lambda: time.monotonic() + self.passed)
        app = create_app(replace(world.parts(), issuers=(AccessTokens(settings, source),)))
        self._client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api")

    async def close(self) -> None:
        await self._client.aclose()
        await self._fetcher.aclose()

    async def status(self, token: str, path: str = "/v1/models") -> int:
        return (await self._client.get(path, headers={"authorization": f"Bearer {token}"})).status_code


@pytest.fixture
async def door(server: Keycloak, world: World) -> AsyncIterator[Callable[..., Door]]:
    """Makes doors."""
    made: list[Door] = []

    def make(**issuer: object) -> Door:
        made.append(Door(server, world, **issuer))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_its_tokens_open_what_their_scope_names(server: Keycloak, door: Callable[..., Door]) -> None:
    opened = door()
    token = server.token("app", "models:read jobs:read")
    assert [await opened.status(token, path) for path in ("/v1/models", "/v1/jobs", "/v1/keys")] == [200, 200, 403]
    assert await opened.status(server.token("app")) == 403, "no scope was asked for"
    tampered = token[:-6] + ("AAAAAA" if not token.endswith("AAAAAA") else "BBBBBB")
    assert await opened.status(tampered) == 401


async def test_a_client_that_does_not_follow_rfc_9068_is_let_in_only_where_the_issuer_s_setting_says_so(
    server: Keycloak, door: Callable[..., Door]
) -> None:
    plain = server.token("plain", "models:read")
    assert await door().status(plain) == 401
    assert await door(types=("JWT",)).status(plain) == 200
    assert await door(types=("JWT",), audience="https://elsewhere.example").status(plain) == 401


async def test_keys_rotate_and_the_last_good_ones_outlive_it(server: Keycloak, door: Callable[..., Door]) -> None:
    old = door()
    before = server.token("app", "models:read")
    assert await old.status(before) == 200
    server.rotate()
    after = server.token("app", "models:read")
    old.passed += UNKNOWN_SECONDS
    assert [await old.status(token) for token in (before, after)] == [200, 200]
    server.withdraw_old_keys()
    old.passed += UNKNOWN_SECONDS
    assert await old.status(f"{after[:-4]}AAAA") == 401
    fresh = door()
    assert [await fresh.status(token) for token in (before, after)] == [401, 200]
    server.end()  # type: ignore[attr-defined]
    old.passed += 3600
    assert [await old.status(token) for token in (after, after)] == [200, 200]
    unknown = door()
    assert await unknown.status(after) == 503, "nobody knows its keys yet"

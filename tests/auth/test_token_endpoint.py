"""Access tokens of the server's own, as OAuth 2.0 clients ask for them."""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from api.app import create_app
from api.auth.own_tokens import OwnTokens
from schemas import keys
from schemas.scopes import Scope
from tests.fakes import World

URL = "https://api.example"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
async def server(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    parts = replace(world.parts(), own_tokens=OwnTokens(URL, {1: "old", 2: "secret"}, world.entries))
    transport = httpx2.ASGITransport(create_app(parts))
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


def _named(key: str) -> str:
    return keys.id_of(key) or ""


def _form(key: str, **more: str) -> dict[str, str]:
    return GRANT | {"client_id": _named(key), "client_secret": key} | more


async def _asked(server: httpx2.AsyncClient, key: str, **more: str) -> dict[str, Any]:
    answer = await server.post("/v1/oauth/token", data=_form(key, **more))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    return told


async def _models(server: httpx2.AsyncClient, token: str) -> int:
    return (await server.get("/v1/models", headers={"authorization": f"Bearer {token}"})).status_code


async def test_a_token_opens_what_its_key_opens_and_is_what_rfc_9068_says(
    world: World, server: httpx2.AsyncClient
) -> None:
    key = world.entries.give("demo", Scope.MODELS, Scope.SEARCH)
    told = await _asked(server, key)
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 900, "models:read search")
    assert await _models(server, told["access_token"]) == 200
    published = KeySet.import_key_set((await server.get("/.well-known/jwks.json")).json())
    read = jwt.decode(told["access_token"], published, algorithms=["Ed25519"])
    assert (read.header["typ"], read.header["kid"]) == ("at+jwt", "2")
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= read.claims.keys()
    assert all("d" not in one for one in published.as_dict()["keys"])


async def test_basic_and_form_are_one_and_both_at_once_are_refused(world: World, server: httpx2.AsyncClient) -> None:
    key = world.entries.give("demo", Scope.MODELS)
    basic = base64.b64encode(f"{quote_plus(_named(key))}:{quote_plus(key)}".encode()).decode()
    headers = {"authorization": f"Basic {basic}"}
    assert (await server.post("/v1/oauth/token", data=GRANT, headers=headers)).status_code == 200
    both = await server.post("/v1/oauth/token", data=_form(key), headers=headers)
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")


async def test_a_token_may_be_for_less_and_never_for_more(world: World, server: httpx2.AsyncClient) -> None:
    key = world.entries.give("demo", Scope.MODELS, Scope.SEARCH)
    less = await _asked(server, key, scope="search")
    assert less["scope"] == "search"
    assert await _models(server, less["access_token"]) == 403
    for scope in ("jobs:write", "search jobs:write", "unheard"):
        more = await server.post("/v1/oauth/token", data=_form(key, scope=scope))
        assert (more.status_code, more.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("change", ["revoked", "gone", "narrowed"])
async def test_a_token_ends_with_its_key(world: World, server: httpx2.AsyncClient, change: str) -> None:
    key = world.entries.give("demo", Scope.MODELS)
    token = (await _asked(server, key))["access_token"]
    entry = world.entries.known.pop(_named(key))
    if change != "gone":
        update = {"revoked": True} if change == "revoked" else {"scopes": ("search",)}
        world.entries.known[_named(key)] = entry.model_copy(update=update)
    assert await _models(server, token) == (403 if change == "narrowed" else 401)


async def test_a_token_is_good_no_longer_than_its_key(world: World, server: httpx2.AsyncClient) -> None:
    key = world.entries.give("demo", Scope.MODELS, expires_at=datetime.now(UTC) + timedelta(seconds=60))
    assert 55 <= (await _asked(server, key))["expires_in"] <= 60


async def test_a_token_of_an_older_key_number_goes_on_after_a_rotation(
    world: World, server: httpx2.AsyncClient
) -> None:
    key = world.entries.give("demo", Scope.MODELS)
    before = OwnTokens(URL, {1: "old"}, world.entries)
    who = await OwnTokens(URL, {1: "old"}, world.entries).identify(await _asked_of(before, world, key))
    assert who.tenant == "demo"
    assert await _models(server, await _asked_of(before, world, key)) == 200
    other = OwnTokens(URL, {1: "another secret"}, world.entries)
    assert await _models(server, await _asked_of(other, world, key)) == 401


async def _asked_of(own: OwnTokens, world: World, key: str) -> str:
    from api.auth.identities import Identities

    return own.issue(Identities({}, world.entries, ()).by_key(_named(key), key), [Scope.MODELS])[0]


async def test_bad_clients_and_grants_are_refused_in_oauth_s_own_shape(
    world: World, server: httpx2.AsyncClient
) -> None:
    key, other = world.entries.give("demo", Scope.MODELS), world.entries.give("demo", Scope.MODELS)
    revoked = world.entries.give("demo", Scope.MODELS, revoked=True)
    for wrong in (
        {"client_id": _named(key), "client_secret": other},
        {"client_id": _named(key), "client_secret": keys.new_key(_named(key))},
        {"client_id": _named(revoked), "client_secret": revoked},
        {"client_id": "", "client_secret": ""},
        {"client_id": "demo", "client_secret": "demo-key"},
    ):
        refused = await server.post("/v1/oauth/token", data=GRANT | wrong)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), wrong
        assert refused.headers["cache-control"] == "no-store"
    for header in ("Basic !", "Basic", "Bearer x", "Basic " + base64.b64encode(b"no colon").decode(), "Basic /w=="):
        refused = await server.post("/v1/oauth/token", data=GRANT, headers={"authorization": header})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client"), header
        assert refused.headers["www-authenticate"] == 'Basic realm="headrace"'
    for grant in ("password", "", "authorization_code"):
        refused = await server.post("/v1/oauth/token", data=_form(key) | {"grant_type": grant})
        assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_grant_type")


async def test_a_server_without_an_address_issues_none_and_says_how(client: httpx2.AsyncClient) -> None:
    for method, path in (("POST", "/v1/oauth/token"), ("GET", "/.well-known/jwks.json")):
        refused = await client.request(method, path)
        assert refused.status_code == 404
        assert "HEADRACE_PUBLIC_URL" in refused.json()["detail"]


async def test_metadata_name_what_is_there(world: World, server: httpx2.AsyncClient) -> None:
    told = (await server.get("/.well-known/oauth-authorization-server")).json()
    assert told["issuer"] == URL
    paths = create_app(world.parts()).openapi()["paths"]
    assert {told[name].removeprefix(URL) for name in ("token_endpoint", "jwks_uri")} <= paths.keys()

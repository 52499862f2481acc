"""Who is let in, and to what: routes, scopes, and what a refusal says."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi.routing import APIRoute

from api.app import create_app
from schemas import keys
from schemas.scopes import EVERY_SCOPE, Scope
from tests.fakes import World

PUBLIC = {
    "/livez", "/readyz", "/metrics", "/docs", "/docs/start.js", "/docs/{name}", "/asyncapi.json", "/openapi.json",
    "/problems/{code}",
    "/v1/oauth/token", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server",
}  # fmt: skip


def _scopes(world: World) -> dict[tuple[str, str], list[str]]:
    """What each route needs, as its description says."""
    paths = create_app(world.parts()).openapi()["paths"]
    return {
        (method, path): [
            scope for given in operation.get("security", []) for named in given.values() for scope in named
        ]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def _as(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_every_route_has_one_scope_or_is_public_by_name(world: World) -> None:
    app = create_app(world.parts())
    needed = _scopes(world)
    assert {path for (_, path), scopes in needed.items() if not scopes} <= PUBLIC
    assert all(len(scopes) <= 1 for scopes in needed.values())
    described = {path for _, path in needed}
    hidden = {route.path for route in app.routes if isinstance(route, APIRoute)} - described
    assert hidden <= PUBLIC, "a route that is not described must be public by name"


def test_every_scope_opens_something(world: World) -> None:
    assert {scope for scopes in _scopes(world).values() for scope in scopes} == EVERY_SCOPE


def _calls(world: World) -> list[tuple[str, str, str]]:
    filled = {"job": "job_x", "page": "1", "document": "a", "model": "m", "key": "a" * 16, "letter": "0" * 8}
    filled |= {"endpoint": f"we_{'a' * 16}", "message": f"msg_{'0' * 32}"}
    return [
        (method.upper(), path.format(**filled), scopes[0])
        for (method, path), scopes in _scopes(world).items()
        if scopes
    ]


async def test_each_route_refuses_who_presents_nothing_and_who_lacks_its_scope(
    world: World, client: httpx2.AsyncClient
) -> None:
    calls = _calls(world)
    assert len(calls) > 20
    for method, path, scope in calls:
        nobody = await client.request(method, path, headers={"authorization": ""})
        assert nobody.status_code == 401, path
        assert nobody.headers["www-authenticate"] == 'Bearer realm="headrace"'
        lacking = world.entries.give("demo", *(EVERY_SCOPE - {scope}))
        refused = await client.request(method, path, headers=_as(lacking))
        assert refused.status_code == 403, path
        assert f'error="insufficient_scope", scope="{scope}"' in refused.headers["www-authenticate"]
        holding = await client.request(method, path, headers=_as(world.entries.give("demo", scope)))
        assert holding.status_code not in (401, 403), path


async def test_what_is_no_key_is_refused_without_a_word_of_it(world: World, client: httpx2.AsyncClient) -> None:
    good = world.entries.give("demo", Scope.MODELS)
    other = keys.new_key(keys.id_of(good) or "")
    for presented in ("nonsense", "hrk_short", other, good[:-1], good + "a", good.upper(), f"{good} {good}", "a.b.c"):
        refused = await client.get("/v1/models", headers=_as(presented))
        assert refused.status_code == 401, presented
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        assert presented not in refused.text
    basic = await client.get("/v1/models", headers={"authorization": f"Basic {good}"})
    assert basic.status_code == 401
    asked = await client.get("/v1/models", params={"api_key": good}, headers={"authorization": ""})
    assert asked.status_code == 401


async def test_a_key_ends_when_it_expires_is_revoked_or_its_secret_s_overlap_is_over(
    world: World, client: httpx2.AsyncClient
) -> None:
    now = datetime.now(UTC)
    good = world.entries.give("demo", Scope.MODELS, expires_at=now + timedelta(minutes=1))
    assert (await client.get("/v1/models", headers=_as(good))).status_code == 200
    expired = world.entries.give("demo", Scope.MODELS, expires_at=now)
    revoked = world.entries.give("demo", Scope.MODELS, revoked=True)
    for key in (expired, revoked):
        assert (await client.get("/v1/models", headers=_as(key))).status_code == 401
    for until, status in ((now, 401), (now + timedelta(minutes=1), 200)):
        identifier = keys.id_of(good) or ""
        entry = world.entries.known[identifier]
        secret = entry.secrets[0].model_copy(update={"until": until})
        world.entries.known[identifier] = entry.model_copy(update={"secrets": (secret,)})
        assert (await client.get("/v1/models", headers=_as(good))).status_code == status


async def test_until_the_log_was_read_an_unknown_key_may_be_one(world: World, client: httpx2.AsyncClient) -> None:
    key = world.entries.give("demo", Scope.MODELS)
    entry = world.entries.known.pop(keys.id_of(key) or "")
    world.entries.whole = False
    waiting = await client.get("/v1/jobs", headers=_as(key))
    assert (waiting.status_code, waiting.json()["code"]) == (503, "dependency_down")
    assert waiting.headers["retry-after"] == "1"
    assert (await client.get("/v1/models")).status_code == 200, "the keys of the settings need no log"
    world.entries.known[keys.id_of(key) or ""] = entry
    assert (await client.get("/v1/models", headers=_as(key))).status_code == 200


@pytest.mark.parametrize("scopes", [("jobs:read", "of:tomorrow"), ("of:tomorrow",)])
async def test_a_scope_of_another_release_permits_nothing(
    world: World, client: httpx2.AsyncClient, scopes: tuple[str, ...]
) -> None:
    key = world.entries.give("demo", *scopes)
    assert (await client.get("/v1/models", headers=_as(key))).status_code == 403
    assert (await client.get("/v1/jobs", headers=_as(key))).status_code == (200 if "jobs:read" in scopes else 403)

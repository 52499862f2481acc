"""Every route, walked with another tenant's ids: a foreign id is 404, nothing of anybody else is told or changed."""

from typing import Any

from schemas.envelope import Envelope
from tests.tenancy.conftest import SECRET, Owned

SINCE = {"since": "2026-01-01T00:00:00Z"}
BODIES: dict[str, Any] = {
    "endpoint_change": {"events": ["job.failed"]},
    "endpoint_verification": {"code": "0" * 32},
    "recovery": SINCE,
    "replay": SINCE,
}
"""What a route with an id in its path is sent, where it wants a body."""
OWN = {
    "submit": "makes a job of the caller's own",
    "key_creation": "makes a key of the caller's own",
    "endpoint_creation": "makes an endpoint of the caller's own",
    "embeddings": "reads nothing that is stored",
    "model_list": "tells what the server has",
    "model_view": "tells what the server has",
    "document_deletion": "names are the caller's own, whatever they are: the order is its tenant's",
}
"""Routes where nobody's ids are named."""
WITHOUT_IDS: dict[str, Any] = {
    "job_list": {},
    "bulk_cancel": {"json": {"jobs": ["{job}"]}},
    "bulk_retry": {"json": {"jobs": ["{job}"]}},
    "letter_list": {},
    "letter_causes": {},
    "redrive": {"json": {"letters": ["{letter}"]}},
    "discard": {"json": {"letters": ["{letter}"]}},
    "document_list": {},
    "search": {"json": {"query": "page chunk", "mode": "hybrid"}},
    "key_list": {},
    "endpoint_list": {},
}
"""Routes that answer about all that the caller has, or take ids in their body: how each is called."""


async def _operations(owned: Owned) -> dict[str, tuple[str, str]]:
    """Each operation that needs a scope, with its method and path."""
    paths = (await owned.call("demo-key", "GET", "/openapi.json")).json()["paths"]
    return {
        operation["operationId"]: (method.upper(), path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if any(scopes for given in operation.get("security", []) for scopes in given.values())
    }


def _filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.format(**names) if value.startswith("{") else value
    if isinstance(value, dict):
        return {name: _filled(each, names) for name, each in value.items()}
    return [_filled(each, names) for each in value] if isinstance(value, list) else value


def _tells_nothing(answer: Any, owned: Owned) -> bool:
    private = [SECRET, "demo.example", *(name for kind, name in owned.names.items() if kind not in ("page", "model"))]
    return not any(word in answer.text for word in private)


async def test_a_foreign_id_is_404_on_every_route_that_takes_one(owned: Owned) -> None:
    before, sent = await owned.everything(), len(owned.world.publisher.published)
    walked = 0
    for name, (method, path) in (await _operations(owned)).items():
        if "{" not in path or name in OWN:
            continue
        body = {"json": BODIES[name]} if name in BODIES else {}
        foreign = await owned.call("other-key", method, path.format(**owned.names), **body)
        assert (foreign.status_code, foreign.json().get("code")) == (404, "not_found"), (name, foreign.text)
        assert SECRET not in foreign.text
        unknown = await owned.call("other-key", method, path.format(**(owned.names | _unknown())), **body)
        assert unknown.status_code == 404, "whether it exists elsewhere is not to be told"
        told, of_none = ({**each.json(), "instance": "", "request_id": ""} for each in (foreign, unknown))
        assert told == of_none, name
        walked += 1
    assert walked >= 25
    assert await owned.everything() == before
    assert len(owned.world.publisher.published) == sent


async def test_lists_searches_and_orders_are_about_the_callers_own_alone(owned: Owned) -> None:
    before, sent = await owned.everything(), len(owned.world.publisher.published)
    operations = await _operations(owned)
    for name, how in WITHOUT_IDS.items():
        method, path = operations[name]
        answer = await owned.call("other-key", method, path, **_filled(how, owned.names))
        assert answer.status_code in (200, 202, 404, 409), (name, answer.text)
        assert _tells_nothing(answer, owned), (name, answer.text)
        everything = {"json": {"all": True}} if "json" in how and name != "search" else None
        if everything:
            answer = await owned.call("other-key", method, path, **everything)
            assert answer.json().get("taken", 0) == 0, (name, answer.text)
    assert await owned.everything() == before
    orders = owned.world.publisher.published[sent:]
    assert all(owned.names["job"].encode() not in (record.key or b"") + (record.value or b"") for record in orders)


async def test_a_deletion_is_an_order_about_the_callers_own_document_of_that_name(owned: Owned) -> None:
    sent = len(owned.world.publisher.published)
    answer = await owned.call("other-key", "DELETE", f"/v1/documents/{owned.names['document']}")
    assert answer.status_code == 202
    [order] = owned.world.publisher.published[sent:]
    assert Envelope.from_headers(order.headers).tenant == "other"


async def test_the_same_calls_reach_their_owner(owned: Owned) -> None:
    """Else the walk above would pass for ids that are wrong."""
    operations = await _operations(owned)
    for name, how in WITHOUT_IDS.items():
        if how:
            continue
        method, path = operations[name]
        assert not _tells_nothing(await owned.call("demo-key", method, path), owned), name
    found = await owned.call("demo-key", "POST", "/v1/search", json={"query": owned.names["job"], "mode": "keyword"})
    assert [hit["job"] for hit in found.json()["hits"]] == [owned.names["job"]]
    last = {"endpoint_removal", "key_revocation", "document_deletion", "discard_one"}
    for name, (method, path) in sorted(operations.items(), key=lambda each: each[0] in last):
        if "{" not in path or name in OWN or name == "job_events":
            continue
        body = {"json": BODIES[name]} if name in BODIES else {}
        answer = await owned.call("demo-key", method, path.format(**owned.names), **body)
        assert answer.status_code != 404, (name, answer.text)


async def test_no_route_is_left_out(owned: Owned) -> None:
    for name, (method, path) in (await _operations(owned)).items():
        assert ("{" in path) or name in OWN or name in WITHOUT_IDS, f"{method} {path} is walked by no test"


def _unknown() -> dict[str, str]:
    return {
        "job": "job_" + "a" * 40, "document": "doc-nobody", "letter": "00000000-0000-4000-8000-000000000000",
        "key": "a" * 16, "endpoint": f"we_{'a' * 16}", "message": f"msg_{'0' * 32}",
    }  # fmt: skip


async def test_there_is_something_of_demos_to_be_seen(owned: Owned) -> None:
    tables = await owned.everything()
    for table in ("jobs", "parts", "results", "chunks", "dead_letters", "api_keys", "webhook_deliveries"):
        assert any("demo" in row for row in tables[table]), table

"""Dead letters at the door: who may order what, and what reaches the log."""

import hashlib
import json
import uuid
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from schemas import plans, topics
from schemas.codec import decode
from schemas.control import plan_key
from schemas.dead_letters import LetterSummary
from schemas.documents import DiscardRequested, Edits, RedriveRequested
from schemas.plans import DOCUMENT, PLANS, Plan
from schemas.ports import StoredLetter
from schemas.records import Outgoing, Partition, Record
from tests.dead_letters import letters
from tests.fakes import World
from tests.sinks import events


def kept(world: World, *, tenant: str = "demo", state: str = "open") -> uuid.UUID:
    """A letter of a page that OCR rejected."""
    job, name = events.new_job(), uuid.uuid4()
    record = letters.rejected("ocr", job, 3, tenant=tenant)
    summary = LetterSummary(
        id=name, state=state, job=job, document_id="d", page=3, run=1, plan=DOCUMENT.hash, step="ocr",
        kind="headrace.PagePrepared.v1", code="c", detail="d", cause="x", attempt=1, at=events.BEGAN, position="p",
    )  # fmt: skip
    world.letters.kept[tenant, name] = StoredLetter(summary, record, [], [])
    return name


def order(published: Outgoing) -> Any:
    record = Record(Partition(published.topic, 0), 0, 0, published.key, published.value, published.headers, 0)
    envelope, payload = decode(record)
    assert (published.topic, envelope.tenant, envelope.job) == (topics.REDRIVES.name, "demo", "")
    return payload


async def test_a_letter_is_shown_with_its_envelope_and_payload(world: World, client: httpx2.AsyncClient) -> None:
    name = kept(world)
    found = (await client.get(f"/v1/dead-letters/{name}")).json()
    job = world.letters.kept["demo", name].summary.job
    assert (found["envelope"]["job"], found["payload"]["image"]["key"]) == (job, f"demo/{job}/pages/1/1.png")


async def test_bytes_that_are_none_of_ours_have_no_payload(world: World, client: httpx2.AsyncClient) -> None:
    name = kept(world)
    letter = world.letters.kept["demo", name]
    world.letters.kept["demo", name] = replace(letter, record=replace(letter.record, headers=(), value=b"\xff"))
    found = (await client.get(f"/v1/dead-letters/{name}")).json()
    assert (found["envelope"], found["payload"]) == ({}, None)


async def test_an_order_names_the_open_letters_and_who_gave_it(world: World, client: httpx2.AsyncClient) -> None:
    name, _ = kept(world), kept(world, state="redriven")
    answer = await client.post("/v1/dead-letters/redrive", json={"all": True}, headers={"X-Request-Id": "req-7"})
    assert (answer.status_code, answer.json()) == (202, {"taken": 1, "plans": {}})
    [published] = world.publisher.published
    key = hashlib.sha256(b"demo-key").hexdigest()[:8]
    assert order(published) == RedriveRequested(letters=(name,), by=f"key {key}, req-7")


async def test_settings_become_a_plan_on_the_log_before_the_order(world: World, client: httpx2.AsyncClient) -> None:
    name, settings = kept(world), {"ocr": {"det_limit_side": 1111}}
    answer = await client.post(f"/v1/dead-letters/{name}/redrive", json={"settings": settings})
    made = plans.edited(DOCUMENT, settings)
    assert answer.json() == {"taken": 1, "plans": {DOCUMENT.hash: made.hash}}
    plan, redrive = world.publisher.published
    assert (plan.topic, plan.key) == (topics.CONTROL.name, plan_key(made.hash))
    assert Plan.model_validate_json(plan.value or b"") == made
    assert order(redrive).edits == Edits(settings=settings)
    assert PLANS.pop(made.hash) == made


@pytest.mark.parametrize(
    ("edits", "pointer"),
    [
        ({"settings": {"see": {}}}, "/edits/settings/see"),
        ({"settings": {"ocr": {"colour": 1}}}, "/edits/settings/ocr/colour"),
        ({"settings": {"ocr": {"line_classifier": 1}}}, "/edits/settings/ocr/line_classifier"),
        ({"settings": {"prepare": {"dpi": 100000}}}, "/edits/settings/prepare/dpi"),
        ({"settings": {"ocr": {"model": "no such model"}}}, "/edits/settings/ocr/model"),
        ({"payload": {"width": 1}}, "/edits/payload/image"),
    ],
)
async def test_edits_that_cannot_be_made_are_told_where(
    world: World, client: httpx2.AsyncClient, edits: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(f"/v1/dead-letters/{kept(world)}/redrive", json=edits)
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert world.publisher.published == []


async def test_a_payload_names_no_bytes_of_another_tenant(world: World, client: httpx2.AsyncClient) -> None:
    name = kept(world)
    payload = json.loads(world.letters.kept["demo", name].record.value or b"")
    payload["image"]["key"] = "other/job/pages/1/1.png"
    answer = await client.post(f"/v1/dead-letters/{name}/redrive", json={"payload": payload})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/edits/payload/image/key"]


async def test_a_payload_is_for_one_letter(world: World, client: httpx2.AsyncClient) -> None:
    chosen = {"letters": [str(kept(world)), str(kept(world))], "edits": {"payload": {}}}
    answer = await client.post("/v1/dead-letters/redrive", json=chosen)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "one_letter")


@pytest.mark.parametrize("verb", ["redrive", "discard"])
async def test_a_foreign_letter_is_no_letter(world: World, client: httpx2.AsyncClient, verb: str) -> None:
    mine, other = kept(world), kept(world, tenant="other")
    assert (await client.get(f"/v1/dead-letters/{other}")).status_code == 404
    assert (await client.post(f"/v1/dead-letters/{other}/{verb}")).status_code == 404
    both = {"letters": [str(mine), str(other)]}
    assert (await client.post(f"/v1/dead-letters/{verb}", json=both)).status_code == 404
    assert world.publisher.published == []


async def test_a_closed_letter_is_a_conflict(world: World, client: httpx2.AsyncClient) -> None:
    answer = await client.post(f"/v1/dead-letters/{kept(world, state='redriven')}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "letter_closed")


@pytest.mark.parametrize("chosen", [{}, {"all": True, "where": {}}, {"letters": []}, {"all": False}])
async def test_an_order_says_in_one_way_which_letters_it_means(
    world: World, client: httpx2.AsyncClient, chosen: dict[str, Any]
) -> None:
    assert (await client.post("/v1/dead-letters/redrive", json=chosen)).status_code == 422


async def test_discarding_is_an_order_too(world: World, client: httpx2.AsyncClient) -> None:
    name = kept(world)
    assert (await client.post(f"/v1/dead-letters/{name}/discard")).json() == {"taken": 1, "plans": {}}
    assert order(world.publisher.published[0]).letters == (name,)
    assert isinstance(order(world.publisher.published[0]), DiscardRequested)

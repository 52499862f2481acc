"""Jobs that run by a plan or with a model that their callers pin."""

import json
from typing import Any, get_args

import httpx2
import pytest

from api.submitting import JobAccepted
from api.uploads import SubmitFields
from schemas import plans
from schemas.control import plan_key
from schemas.envelope import Envelope
from schemas.plans import DOCUMENT, OCR_MODELS, PLANS, Plan, document
from tests.api.test_submit import PDF
from tests.fakes import World


@pytest.fixture(autouse=True)
def own_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a release knows: generated requests in the same process pin models too."""
    known = {plan.hash: plan for plan in PLANS.values() if plan.steps == DOCUMENT.steps}
    monkeypatch.setattr(plans, "PLANS", known)
    monkeypatch.setattr("api.planning.PLANS", known)


async def submit(client: httpx2.AsyncClient, **fields: str) -> httpx2.Response:
    return await client.post("/v1/jobs", data=fields, files={"file": ("a.pdf", PDF)})


def told(world: World) -> list[tuple[str, Any]]:
    """What was published: plans as they are, and the plan of each job."""
    return [
        ("plan", Plan.model_validate_json(record.value or b""))
        if record.topic == "headrace.control"
        else ("job", Envelope.from_headers(record.headers).plan)
        for record in world.publisher.published
    ]


async def test_without_a_word_a_job_runs_by_this_servers_plan(world: World, client: httpx2.AsyncClient) -> None:
    accepted = (await submit(client)).json()
    assert accepted["plan"] == DOCUMENT.hash
    assert told(world) == [("job", DOCUMENT.hash)]


async def test_another_model_makes_a_plan_that_is_told_before_the_first_job_by_it(
    world: World, client: httpx2.AsyncClient
) -> None:
    by = [(await submit(client, model="PP-OCRv4 mobile")).json()["plan"] for _ in range(2)]
    assert by[0] == by[1] != DOCUMENT.hash
    made = plans.edited(DOCUMENT, {"ocr": {"model": "PP-OCRv4 mobile"}})
    assert told(world) == [("plan", made), ("job", made.hash), ("job", made.hash)]
    assert world.publisher.published[0].key == plan_key(made.hash)
    pinned = (await submit(client, plan=made.hash)).json()
    assert pinned["plan"] == made.hash
    assert told(world)[-1] == ("job", made.hash)
    assert (await submit(client, model=OCR_MODELS[0])).json()["plan"] == DOCUMENT.hash


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"plan": "0" * 16}, "/plan", "unknown_plan"),
        ({"plan": document(["weaviate"]).hash}, "/plan", "unknown_plan"),
        ({"plan": "latest"}, "/plan", "string_pattern_mismatch"),
        ({"model": "gpt"}, "/model", "literal_error"),
    ],
)
async def test_what_cannot_be_run_is_refused_and_its_bytes_are_not_kept(
    world: World, client: httpx2.AsyncClient, fields: dict[str, str], pointer: str, code: str
) -> None:
    refused = await submit(client, **fields)
    assert refused.status_code == 422
    assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [(pointer, code)]
    assert not world.blobs.kept
    assert not world.publisher.published


def test_every_model_that_a_plan_may_name_may_be_pinned() -> None:
    assert get_args(get_args(SubmitFields.model_fields["model"].annotation)[0]) == OCR_MODELS


def test_an_answer_that_the_release_before_stored_is_still_told() -> None:
    stored = JobAccepted(
        id="job_a", document_id="d", revision=1, pipeline="document", filename="a.pdf", size=1, sha256="0" * 64,
        created_at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]
    ).model_dump(mode="json")  # fmt: skip
    del stored["plan"]
    assert JobAccepted.model_validate_json(json.dumps(stored)).plan == ""

"""A submission that is sent again with its `Idempotency-Key` is one job."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api import idempotency
from producers import provisioning
from schemas import topics
from schemas.broker import Broker
from schemas.errors import BadRequest, IdempotencyInProgress, IdempotencyKeyReused
from schemas.keys import sha256
from sinks.postgres.submissions import PostgresSubmissions
from tests.api.processes import KEY, apis
from tests.api.test_submit import PDF, form, part, post
from tests.fakes import World
from tests.sinks.databases import Database, fresh, rows
from tests.support import read, until

BODY = form(part("document_id", b"a"), part("file", PDF, "a.pdf"))


async def test_the_same_is_answered_as_before_and_kept_once(world: World) -> None:
    first = await post(world, BODY, **{"idempotency-key": '"order 7"'})
    again = await post(world, BODY, **{"idempotency-key": '"order 7"'})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert again.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(world.publisher.published) == 1
    assert len(world.blobs.kept) == 1, "the bytes of the repeat are not kept"


async def test_another_payload_is_refused_and_not_kept(world: World) -> None:
    await post(world, BODY, **{"idempotency-key": "k"})
    others = (
        form(part("document_id", b"b"), part("file", PDF, "a.pdf")),
        form(part("document_id", b"a"), part("file", PDF + b"x", "a.pdf")),
        form(part("document_id", b"a"), part("lane", b"bulk"), part("file", PDF, "a.pdf")),
    )
    for other in others:
        answer = await post(world, other, **{"idempotency-key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    answer = await post(world, BODY, **{"idempotency-key": "k", "cancel-after": "1h"})
    assert answer.status_code == 422
    assert (len(world.publisher.published), len(world.blobs.kept)) == (1, 1)


async def test_a_tenant_s_keys_are_its_own(world: World) -> None:
    ours = await post(world, BODY, **{"idempotency-key": "k"})
    theirs = await post(
        world, form(part("file", PDF, "b.pdf")), **{"idempotency-key": "k", "authorization": "Bearer other-key"}
    )
    assert (ours.status_code, theirs.status_code) == (202, 202)
    assert ours.json()["id"] != theirs.json()["id"]


async def test_what_did_not_reach_the_log_is_sent_again_under_the_same_id(world: World) -> None:
    world.publisher.down = True
    refused = await post(world, BODY, **{"idempotency-key": "k"})
    assert refused.status_code == 503
    [(_, job, _)] = world.submissions.kept.values()
    world.publisher.down = False
    assert (await post(world, BODY, **{"idempotency-key": "k"})).json()["id"] == job


async def test_without_postgresql_only_those_with_a_key_are_refused(world: World) -> None:
    world.submissions.down = True
    assert (await post(world, BODY, **{"idempotency-key": "k"})).status_code == 503
    assert not world.blobs.kept
    assert (await post(world, BODY)).status_code == 202


@pytest.mark.parametrize(
    "given", ["", '""', "x" * 256, '"' + "x" * 10_000 + '"', '"a', "a b", 'a"b', "a,b", "a;b", "\x7f"]
)
async def test_what_is_no_key_is_refused(world: World, given: str) -> None:
    answer = await post(world, BODY, **{"idempotency-key": given})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert not world.blobs.kept


def test_a_quoted_and_a_bare_key_are_the_same() -> None:
    assert idempotency.parsed("8e03978e-40d5") == idempotency.parsed(' "8e03978e-40d5" ') == "8e03978e-40d5"
    assert idempotency.parsed(r'"a \"b\" \\ c"') == r'a "b" \ c'
    assert idempotency.parsed(None) is None
    with pytest.raises(BadRequest):
        idempotency.parsed("käse")


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


async def test_a_key_in_the_table_is_taken_over_only_when_it_may_be(database: Database) -> None:
    book = PostgresSubmissions(database.api, expiry_hours=1, lease=60)
    assert (await book.take("demo", "k", "mark", "job_1")).job == "job_1"
    with pytest.raises(IdempotencyInProgress):
        await book.take("demo", "k", "mark", "job_2")
    assert (await book.take("other", "k", "another", "job_3")).job == "job_3"
    await book.give_up("demo", "k", "job_1")
    assert (await book.take("demo", "k", "mark", "job_4")).job == "job_1"
    await book.done("demo", "k", "job_1", "an answer")
    await book.give_up("demo", "k", "job_1")
    assert (await book.take("demo", "k", "mark", "job_5")).answer == "an answer"
    with pytest.raises(IdempotencyKeyReused):
        await book.take("demo", "k", "another", "job_6")
    await rows(database.admin, "UPDATE idempotency_keys SET created_at = now() - interval '2 hours'")
    assert (await book.take("demo", "k", "another", "job_7")).job == "job_7"
    await book.close()


@pytest.fixture(scope="module")
def log(kafka: Broker) -> Broker:
    provisioning.apply(kafka, dev=True)
    return kafka


@pytest.fixture(scope="module")
def doors(log: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three API processes, the first two armed to die: before a submission is on the log, and right after."""
    folder: Path = tmp_path_factory.mktemp("idempotency")
    (folder / "failpoints").mkdir()
    for number, window in enumerate(("decided", "released"), 1):
        (folder / "failpoints" / f"api-{number}.{window}").touch()
    with apis(folder, log.bootstrap, database.api, count=3, killed=2) as urls:
        yield urls


def _submit(url: str, key: str) -> httpx2.Response:
    files = {"file": ("a.pdf", PDF, "application/pdf")}
    headers = KEY | {"idempotency-key": key}
    return httpx2.post(f"{url}/v1/jobs", files=files, headers=headers, timeout=30, trust_env=False)


_ROW = "SELECT job, published FROM idempotency_keys WHERE tenant = 'demo' AND key = $1"


async def test_of_a_process_that_dies_the_repeat_publishes_under_the_same_id(
    doors: list[str], log: Broker, database: Database
) -> None:
    _, *dying, well = doors
    keys = ("before", "behind")
    left: list[str] = []
    for url, key in zip(dying, keys, strict=True):
        with pytest.raises(httpx2.HTTPError):
            _submit(url, key)
        [row] = await rows(database.admin, _ROW, sha256(key))
        assert not row["published"], "it died after the row was committed and before it was marked"
        left.append(row["job"])
        early = _submit(well, key)
        assert (early.status_code, early.json()["code"]) == (409, "idempotency_in_progress")
        assert int(early.headers["retry-after"]) >= 1
    jobs = []
    for key in keys:

        def answered(key: str = key) -> httpx2.Response | None:
            answer = _submit(well, key)
            return answer if answer.status_code == 202 else None

        jobs.append(until(answered, 20, "the key may be taken over").json()["id"])
    assert jobs == left, "the repeat is the job that the dead process wrote down"
    kept = {row["job"] for row in await rows(database.admin, "SELECT job FROM idempotency_keys WHERE published")}
    assert set(jobs) <= kept
    said = [message for message in read(log, topics.JOBS.name) if message.key().decode() in jobs]
    by_job = {job: [dict(each.headers())["ce_id"] for each in said if each.key().decode() == job] for job in jobs}
    before, behind = (by_job[job] for job in jobs)
    assert len(before) == 1
    assert len(behind) == 2
    assert len(set(behind)) == 1, "the same submission has the same id, so that its effects are there once"

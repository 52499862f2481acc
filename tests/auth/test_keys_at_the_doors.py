"""Keys over the whole way: API processes, PostgreSQL, the relay and the log, all real."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from schemas.broker import Broker
from schemas.limits import Limits
from sinks.postgres.engine import connect
from sinks.usage_round import UsageRound
from tests.api.processes import KEY, apis
from tests.relay.harness import RelayProcess
from tests.sinks.databases import Database, fresh, rows
from tests.support import until

ACTS_SECONDS = 60.0
"""Within these a revocation acts everywhere, as docs/authentication.md promises."""
NAMED = {"name": "a scanner", "scopes": ["models:read", "jobs:read", "jobs:write"]}


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doors")


@pytest.fixture(scope="module")
def doors(broker: Broker, database: Database, folder: Path) -> Iterator[list[str]]:
    """The shared address of two API processes, then each one's own; beside them a relay."""
    relay = RelayProcess(broker, database, folder, "relay-1")
    relay.start()
    with apis(folder, broker.bootstrap, database.api, count=2) as urls:
        yield urls
    relay.end(9)


def _as(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _call(method: str, url: str, headers: dict[str, str], **body: object) -> httpx2.Response:
    return httpx2.request(method, url, headers=headers, timeout=20, trust_env=False, **body)  # type: ignore[arg-type]  # passed through


def _made(url: str, headers: dict[str, str] = KEY, **wanted: object) -> dict[str, str]:
    made = _call("POST", f"{url}/v1/keys", headers, json=NAMED | wanted)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    told: dict[str, str] = made.json()
    return told


def _opened(urls: list[str], key: str) -> list[int]:
    return [_call("GET", f"{url}/v1/models", _as(key)).status_code for url in urls]


def test_a_key_is_made_used_rotated_and_revoked_at_every_process(doors: list[str]) -> None:
    shared, *own = doors
    made = _made(shared)
    until(lambda: _opened(own, made["key"]) == [200, 200], 20, "the key is known everywhere")
    assert _call("GET", f"{shared}/v1/documents", _as(made["key"])).status_code == 403
    rotated = _call("POST", f"{shared}/v1/keys/{made['id']}/rotate", KEY, json={"overlap_hours": 0}).json()
    until(lambda: _opened(own, rotated["key"]) == [200, 200], 20, "the new secret is known everywhere")
    assert _opened(own, made["key"]) == [401, 401]
    ended = _call("DELETE", f"{shared}/v1/keys/{made['id']}", KEY)
    assert (ended.status_code, ended.json()["state"]) == (200, "revoked")
    until(lambda: _opened(own, rotated["key"]) == [401, 401], 20, "the end is known everywhere")
    assert _call("POST", f"{shared}/v1/keys/{made['id']}/rotate", KEY).json()["code"] == "key_ended"


def test_a_new_key_knows_at_once_at_the_process_that_made_it(doors: list[str]) -> None:
    _, first, _ = doors
    made = _made(first)
    assert _opened([first], made["key"]) == [200]


async def test_an_open_stream_ends_with_its_key(doors: list[str]) -> None:
    shared, first, second = doors
    made = _made(first)
    job = _call("POST", f"{shared}/v1/jobs", KEY, files={"file": ("a.txt", b"words enough")}).json()["id"]
    async with (
        httpx2.AsyncClient(headers=_as(made["key"]), timeout=30, trust_env=False) as client,
        client.stream("GET", f"{first}/v1/jobs/{job}/events") as stream,
    ):
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("retry:")
        async with asyncio.timeout(ACTS_SECONDS):
            assert _call("DELETE", f"{second}/v1/keys/{made['id']}", KEY).status_code == 200
            told = [line async for line in lines]
    assert not any(line.startswith("event: job.") for line in told), "the job's end did not close it"
    assert _opened([first], made["key"]) == [401]


def test_a_key_makes_none_that_may_do_more_or_lives_longer(doors: list[str]) -> None:
    shared, first, _ = doors
    narrow = _made(first, scopes=["keys:write", "models:read"], expires_in_days=1)
    beyond = _call("POST", f"{first}/v1/keys", _as(narrow["key"]), json={"name": "b", "scopes": ["search"]})
    assert (beyond.status_code, beyond.json()["code"]) == (403, "forbidden")
    below = _made(first, _as(narrow["key"]), scopes=["models:read"], expires_in_days=30)
    assert below["expires_at"] == narrow["expires_at"]
    wide = _made(shared, scopes=["search", "keys:write"])
    taken = _call("POST", f"{first}/v1/keys/{wide['id']}/rotate", _as(narrow["key"]))
    assert taken.status_code == 403, "rotating a wider key would be to take it over"


def test_a_key_is_noted_as_used_and_its_secret_is_in_no_log(doors: list[str], folder: Path) -> None:
    shared, *own = doors
    made = _made(shared)
    until(lambda: _opened(own, made["key"]) == [200, 200], 20, "the key is known everywhere")

    def noted() -> bool:
        return bool(_call("GET", f"{shared}/v1/keys/{made['id']}", KEY).json()["last_used_at"])

    until(noted, 40, "its use is written")
    listed = _call("GET", f"{shared}/v1/keys", KEY)
    secret = made["key"].rpartition("_")[2]
    assert secret not in json.dumps(listed.json())
    for url in own:
        for name in ("key", "api_key"):
            refused = _call("GET", f"{url}/v1/keys?{name}={made['key']}", {})
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
            assert secret not in refused.text + str(refused.headers)
    assert all((folder / f"{slot}.log").stat().st_size for slot in ("api-1", "api-2", "relay-1"))
    assert not any(secret.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_without_postgresql_keys_open_and_jobs_are_taken(doors: list[str], broker: Broker, tmp_path: Path) -> None:
    key = _made(doors[0])["key"]
    with apis(tmp_path, broker.bootstrap, "postgresql://headrace_api:x@127.0.0.1:1/none") as (url, _):
        until(lambda: _opened([url], key) == [200], 20, "the log was read")
        sent = _call("POST", f"{url}/v1/jobs", _as(key), files={"file": ("a.txt", b"words enough")})
        assert sent.status_code == 202, sent.text
        refused = _call("POST", f"{url}/v1/keys", KEY, json=NAMED)
        assert (refused.status_code, refused.json()["code"]) == (503, "dependency_down")


async def _counted(database: Database, key: str) -> None:
    """A job of this key has not ended, and the reconciler says so."""
    job = "INSERT INTO jobs (id, tenant, document_id, revision, plan, lane, data_class, pipeline, submitted_by) "
    await rows(database.sink, job + "VALUES ($1, 'demo', $1, 1, 'p', 'bulk', 'normal', 'document', $1)", key)
    engine = connect(database.sink)
    await UsageRound(engine, Limits(), {}).run()
    await engine.dispose()


def test_a_keys_limits_and_quotas_act_at_every_process(doors: list[str], database: Database) -> None:
    shared, *own = doors
    few, one = _made(shared, limits={"requests": "2/hour"}), _made(shared, limits={"jobs": 1})
    until(lambda: 401 not in _opened(own, few["key"]), 20, "the key is known everywhere")
    for url in own:
        until(lambda url=url: _opened([url], few["key"]) == [429], 5, "each counts for itself")  # type: ignore[misc]
    document = {"files": {"file": ("a.txt", b"words enough")}}
    asyncio.run(_counted(database, one["id"]))

    def refused() -> bool:
        answers = [_call("POST", f"{url}/v1/jobs", _as(one["key"]), **document) for url in own]
        return [answer.json().get("violated-policies") for answer in answers] == [["key-jobs"]] * 2

    until(refused, 20, "what was counted is known everywhere")
    assert _call("POST", f"{shared}/v1/jobs", KEY, **document).status_code == 202, "its tenant has no quota"

"""What tenants use: counted from real rows, told once where it changed, and again every minute while it is not zero."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.limits import Limits
from schemas.usage import Usage, Used
from sinks.postgres.engine import connect
from sinks.usage_round import UsageRound
from tests.sinks.databases import Database, fresh, rows

_JOB = """
    INSERT INTO jobs (id, tenant, document_id, revision, plan, lane, data_class, pipeline, submitted_by, pages_total,
        source_size, created_at, finished_at, deleted)
    VALUES ($1, $2, $1, 1, 'p', 'bulk', 'normal', 'document', $3, $4, $5, $6, $7, $8)
"""
_KEY = """
    INSERT INTO api_keys (id, tenant, name, scopes, secrets, created_by, limits)
    VALUES ($1, $2, 'n', '{}', '[]', 'a test', CAST($3 AS jsonb))
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(postgres: str) -> Database:
    return fresh(postgres)


async def _job(database: Database, name: str, tenant: str, **about: Any) -> None:
    now = datetime.now(UTC)
    given = {"key": None, "pages": None, "size": 100, "at": now, "ended": None, "deleted": False} | about
    await rows(database.admin, _JOB, name, tenant, *given.values())


async def _told(database: Database) -> dict[str, Usage]:
    """What the outbox holds, which is emptied."""
    found = await rows(database.admin, "DELETE FROM outbox RETURNING topic, tenant, key, value")
    assert {(row["topic"], row["key"]) for row in found} == {
        ("headrace.control", f"usage:{row['tenant']}") for row in found
    }
    assert len({row["tenant"] for row in found}) == len(found)
    return {row["tenant"]: Usage.model_validate_json(row["value"]) for row in found}


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[Any]:
    made = connect(database.sink)
    yield made
    await made.dispose()


async def test_jobs_pages_and_bytes_are_counted_by_tenant_and_key(database: Database, engine: Any) -> None:
    now, before = datetime.now(UTC), datetime.now(UTC) - timedelta(days=40)
    await _job(database, "a", "demo", key="k1", pages=7)
    await _job(database, "b", "demo", key="k1", pages=5, ended=now)
    await _job(database, "c", "demo", pages=None)
    await _job(database, "d", "demo", pages=100, at=before, ended=before)
    await _job(database, "e", "demo", pages=1, ended=now, deleted=True)
    await _job(database, "f", "other", pages=3, ended=now)
    assert not await UsageRound(engine, Limits(jobs=5), {}).run()
    told = await _told(database)
    assert told.keys() == {"demo", "other"}
    demo = told["demo"]
    assert (demo.jobs, demo.monthly_pages, demo.stored_bytes) == (2, 13, 400)
    assert demo.keys == {"k1": Used(jobs=1, monthly_pages=12)}
    assert (told["other"].jobs, told["other"].monthly_pages, told["other"].stored_bytes) == (0, 3, 100)
    assert datetime.now(UTC) - demo.at < timedelta(minutes=1)


async def test_only_changes_are_told_and_all_that_is_not_zero_once_a_minute(database: Database, engine: Any) -> None:
    clock = Clock()
    made = UsageRound(engine, Limits(jobs=5), {}, clock)
    await _job(database, "a", "demo")
    await _job(database, "b", "other", size=0, deleted=True)
    await made.run()
    assert (await _told(database)).keys() == {"demo", "other"}
    await made.run()
    assert not await _told(database)
    await rows(database.admin, "UPDATE jobs SET finished_at = now(), deleted = true")
    clock.now += 1
    await made.run()
    told = await _told(database)
    assert {tenant: (usage.jobs, usage.stored_bytes) for tenant, usage in told.items()} == {
        "demo": (0, 0),
        "other": (0, 0),
    }
    clock.now += 61
    await made.run()
    assert not await _told(database), "nothing is used by anybody"
    await _job(database, "c", "demo")
    await made.run()
    assert (await _told(database)).keys() == {"demo"}
    clock.now += 61
    await made.run()
    assert (await _told(database))["demo"].jobs == 1


async def test_nobody_is_counted_who_has_no_quota(database: Database, engine: Any) -> None:
    for tenant in ("demo", "other", "keyed"):
        await _job(database, tenant, tenant)
    limits = Limits(requests="1/second")
    await UsageRound(engine, limits, {}).run()
    assert not await _told(database)
    await UsageRound(engine, limits, {"other": Limits(monthly_pages=1)}).run()
    assert (await _told(database)).keys() == {"other"}
    await UsageRound(engine, Limits(jobs=1), {"other": Limits()}).run()
    assert (await _told(database)).keys() == {"demo", "keyed"}
    await rows(database.admin, _KEY, "k1", "keyed", json.dumps({"requests": "1/second"}))
    await UsageRound(engine, limits, {}).run()
    assert not await _told(database)
    await rows(database.admin, _KEY, "k2", "keyed", json.dumps({"jobs": 1}))
    await UsageRound(engine, limits, {}).run()
    assert (await _told(database)).keys() == {"keyed"}


async def test_a_dry_round_tells_nothing(database: Database, engine: Any) -> None:
    await _job(database, "a", "demo")
    await UsageRound(engine, Limits(jobs=1), {}).run(dry=True)
    assert not await _told(database)

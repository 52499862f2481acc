"""Backpressure: who is refused, with which word and for how long, and what refuses nobody."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import httpx2
import pytest

from api import admission
from api.admission import Admission
from schemas.control import LaneLoad, LoadReport
from schemas.errors import Overloaded, TooManyPagesWaiting
from schemas.settings import Settings
from tests.fakes import FakeLag, FakeLoad, World

SETTINGS = Settings(max_waiting_pages=1000, max_waiting_pages_of_tenant=100)


def report(age: float = 0, speed: float = 10, weights: dict[str, float] | None = None, **bulk: int) -> LoadReport:
    at = datetime.now(UTC) - timedelta(seconds=age)
    return LoadReport(at=at, bulk=LaneLoad(waiting=bulk), pages_per_second=speed, weights=weights or {})


def door(newest: LoadReport | None, behind: int = 0) -> Admission:
    made = Admission(FakeLoad(newest), FakeLag(), SETTINGS)
    made._behind = behind
    return made


def refused(newest: LoadReport | None, tenant: str = "demo", behind: int = 0) -> Any:
    with pytest.raises((TooManyPagesWaiting, Overloaded)) as found:
        door(newest, behind).check(tenant)
    return found.value


def test_a_tenant_with_too_much_waiting_is_told_when_its_excess_is_worked_off() -> None:
    told = refused(report(demo=300))
    assert (told.code, told.status) == ("too_many_pages_waiting", 429)
    assert 20 <= told.retry_after <= 24
    shared = refused(report(demo=300, other=5, weights={"other": 3.0}))
    assert 80 <= shared.retry_after <= 96, "three quarters of the machines are the other's"
    door(report(demo=300)).check("other")
    door(report(demo=100)).check("demo")


def test_all_tenants_together_and_what_nobody_has_taken_over_count_against_all() -> None:
    everybody = {f"t{number}": 99 for number in range(10)}
    door(report(**everybody)).check("demo")
    told = refused(report(**everybody), behind=30)
    assert (told.code, told.status) == ("overloaded", 503)
    assert 2 <= told.retry_after <= 2.4


@pytest.mark.parametrize("newest", [None, report(age=60, demo=5000)])
def test_a_missing_or_stale_report_refuses_nothing_by_itself(newest: LoadReport | None) -> None:
    door(newest).check("demo")
    door(newest, behind=1000).check("demo")
    told = refused(newest, behind=1001)
    assert (told.code, 60 <= told.retry_after <= 72) == ("overloaded", True)


@pytest.mark.parametrize(("speed", "least", "most"), [(0.0, 60, 72), (1e9, 1, 1.2), (1e-9, 3600, 3600)])
def test_a_caller_is_told_to_wait_between_a_second_and_an_hour(speed: float, least: float, most: float) -> None:
    assert least <= refused(report(speed=speed, demo=300)).retry_after <= most


def test_callers_are_not_told_to_come_back_at_one_moment() -> None:
    assert len({refused(report(demo=300)).retry_after for _ in range(20)}) > 10


def test_the_load_is_unknown_where_work_waits_and_nobody_reports() -> None:
    assert door(None).known
    assert door(report(demo=5)).known
    assert door(report(age=600)).known, "nothing waits, nothing moves, nothing is to be reported"
    assert not door(report(age=600, demo=5)).known
    silent = door(None)
    silent._behind_since = time.monotonic() - 60
    assert not silent.known
    silent._behind_since = time.monotonic()
    assert silent.known


async def test_how_far_the_dispatcher_is_behind_is_measured_and_kept_while_the_log_is_away() -> None:
    lag = FakeLag(behind=2000)
    made = Admission(FakeLoad(), lag, SETTINGS)
    with patch.object(admission, "_MEASURE_SECONDS", 0.01):
        made.start()
        while made._behind != 2000:
            await admission.asyncio.sleep(0.01)
        lag.down = True
        await admission.asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            made.check("demo")
        lag.down, lag.behind = False, 0
        while made._behind:
            await admission.asyncio.sleep(0.01)
        await made.stop()
    made.check("demo")


async def test_a_submission_is_refused_before_its_body_is_read(world: World, client: httpx2.AsyncClient) -> None:
    world.load.newest = report(demo=200_101)
    answer = await client.post("/v1/jobs", content=b"no form, which nobody looks at")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_pages_waiting")
    assert answer.json()["retryable"]
    assert 10 <= int(answer.headers["retry-after"]) <= 13
    assert not world.blobs.kept
    assert not world.publisher.published


async def test_word_of_the_dispatcher_is_missed_in_readyz(world: World, client: httpx2.AsyncClient) -> None:
    world.load.newest = report(age=60, demo=5)
    ready = await client.get("/readyz")
    assert (ready.status_code, "dispatcher" in ready.json()["degraded"]) == (200, True)
    assert ready.json()["parts"]["dispatcher"] == {"state": "failed", "code": "load_unknown"}

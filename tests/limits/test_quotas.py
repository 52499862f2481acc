"""Quotas: who is refused by the last count and by what was accepted since, with which word."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from api import quotas
from api.auth.identity import Identity
from api.quotas import Quotas
from schemas.errors import QuotaExceeded, RateLimited
from schemas.limits import Limits, NewLimits
from schemas.usage import Usage, Used
from tests.api.test_submit import PDF
from tests.fakes import FakeEntries, World
from tests.limits.test_doors import api

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WHO = Identity("demo", frozenset(), "a test", key="k")


class Clock(datetime):
    at = NOW

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return cls.at


@pytest.fixture(autouse=True)
def clock() -> Any:
    with patch.object(quotas, "datetime", Clock):
        Clock.at = NOW
        yield Clock


def door(limits: Limits, used: Usage | None, **tenants: Limits) -> Quotas:
    return Quotas(limits, tenants, FakeEntries(used={"demo": used} if used else {}))


def refused(made: Quotas, who: Identity = WHO) -> Any:
    with pytest.raises(RateLimited) as found:
        made.check(who)
    return found.value


def test_as_many_jobs_as_a_tenant_may_have_at_once() -> None:
    limits = Limits(jobs=3)
    door(limits, Usage(at=NOW, jobs=2)).check(WHO)
    told = refused(door(limits, Usage(at=NOW, jobs=3)))
    assert (told.code, told.policy, told.retry_after) == ("rate_limited", "jobs", 5)
    door(limits, Usage(at=NOW, jobs=3), demo=Limits(jobs=4)).check(WHO)
    door(limits, Usage(at=NOW, jobs=3), demo=Limits()).check(WHO)


def test_what_was_accepted_since_the_count_counts_until_a_count_can_know_of_it(clock: Any) -> None:
    entries = FakeEntries(used={"demo": Usage(at=NOW, jobs=1)})
    made = Quotas(Limits(jobs=3), {}, entries)
    for _ in range(2):
        made.check(WHO)
        made.accepted(WHO, 10)
    assert refused(made).policy == "jobs"
    made.check(Identity("other", frozenset(), "a test"))
    clock.at = NOW + timedelta(seconds=20)
    entries.used["demo"] = Usage(at=NOW + timedelta(seconds=4), jobs=1)
    assert refused(made).policy == "jobs", "the count may not know of them yet"
    entries.used["demo"] = Usage(at=NOW + timedelta(seconds=6), jobs=1)
    made.check(WHO)


def test_a_months_pages_and_what_is_stored_are_quotas_that_waiting_does_not_help(clock: Any) -> None:
    limits = Limits(monthly_pages=100, stored_bytes=1000)
    door(limits, Usage(at=NOW, monthly_pages=99, stored_bytes=999)).check(WHO)
    pages = refused(door(limits, Usage(at=NOW, monthly_pages=100)))
    stored = refused(door(limits, Usage(at=NOW, stored_bytes=1000)))
    assert [type(told) for told in (pages, stored)] == [QuotaExceeded] * 2
    assert [(told.policy, told.retry_after) for told in (pages, stored)] == [
        ("monthly-pages", None), ("stored-bytes", None)
    ]  # fmt: skip
    clock.at = datetime(2026, 12, 1, tzinfo=UTC)
    at_midnight = Usage(at=datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC), monthly_pages=100)
    door(limits, at_midnight).check(WHO)


def test_bytes_that_were_accepted_since_count_as_stored() -> None:
    made = door(Limits(stored_bytes=1000), Usage(at=NOW, stored_bytes=900))
    made.accepted(WHO, 99)
    made.check(WHO)
    made.accepted(WHO, 1)
    assert refused(made).policy == "stored-bytes"


def test_a_keys_own_quotas_are_beside_its_tenants() -> None:
    who = Identity("demo", frozenset(), "a test", key="k", limits=Limits(jobs=2, monthly_pages=10))
    used = Usage(at=NOW, jobs=9, monthly_pages=90, keys={"k": Used(jobs=1, monthly_pages=9), "l": Used(jobs=8)})
    made = door(Limits(), used)
    made.check(who)
    made.accepted(Identity("demo", frozenset(), "another", key="l"), 1)
    made.check(who)
    made.accepted(who, 1)
    assert refused(made, who).policy == "key-jobs"
    worn = used.model_copy(update={"keys": {"k": Used(monthly_pages=10)}})
    assert refused(door(Limits(), worn), who).policy == "key-monthly-pages"


@pytest.mark.parametrize("used", [None, Usage(at=NOW - timedelta(minutes=4), jobs=99, monthly_pages=9999)])
def test_a_count_that_is_missing_or_stale_refuses_nobody_by_itself(used: Usage | None) -> None:
    made = door(Limits(jobs=2, monthly_pages=10), used)
    made.check(WHO)
    made.accepted(WHO, 1)
    made.accepted(WHO, 1)
    assert refused(made).policy == "jobs", "what this process accepted itself it knows"


def test_who_has_no_quotas_costs_no_memory() -> None:
    made = door(Limits(requests="1/second"), None)
    for _ in range(100):
        made.accepted(WHO, 1)
    assert not made._accepted


async def test_at_the_door_it_is_told_before_the_document_is_read(clock: Any) -> None:
    world = World()
    world.entries.used["demo"] = Usage(at=datetime.now(UTC), stored_bytes=5000)
    clock.at = datetime.now(UTC)
    document = {"file": ("a.pdf", PDF)}
    async with api(world, limits=NewLimits(stored_bytes=5000, jobs=1)) as call:
        told = await call(files=document)
        assert (told.status_code, told.json()["code"], told.json()["retryable"]) == (429, "quota_exceeded", False)
        assert told.json()["violated-policies"] == ["stored-bytes"]
        assert "retry-after" not in told.headers
        assert not world.blobs.kept
        answers = [await call("other-key", files=document) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 429]
        assert answers[1].json()["code"] == "rate_limited"
        assert answers[1].headers["retry-after"] == "5"

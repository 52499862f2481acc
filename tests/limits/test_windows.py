"""Limits over time: nobody uses more than a limit, and who waits as long as told has room."""

import asyncio
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from pydantic import ValidationError

from api.auth.identity import Identity
from api.auth.limiting import Limiter
from api.auth.policies import fields, policies
from api.auth.windows import Windows
from schemas.limits import Limits, NewLimits

WHO = Identity("demo", frozenset(), "a test")


class Clock(SimpleNamespace):
    """Seconds since 1970, as far as the storage in memory knows."""

    def __init__(self) -> None:
        super().__init__(now=1_800_000_000.0)

    def time(self) -> float:
        return float(self.now)


@given(
    amount=st.integers(1, 40),
    span=st.sampled_from(["second", "10 second", "minute", "hour"]),
    steps=st.lists(st.tuples(st.floats(0, 1.5), st.integers(1, 40)), min_size=1, max_size=25),
)
def test_who_waits_as_long_as_told_has_room_and_not_much_sooner(
    amount: int, span: str, steps: list[tuple[float, int]]
) -> None:
    async def story() -> None:
        limiter = Limiter(Limits(bytes=f"{amount}/{span}"), {})
        for pause, size in steps:
            clock.now += pause * _seconds(span)
            spent = await limiter.spend(WHO, "bytes", size)
            if spent.refusal is None:
                continue
            [use] = spent.uses
            wait, cost = use.wait(min(size, amount)), min(size, amount)
            assert 0 <= wait <= 2 * _seconds(span)
            at = clock.now
            clock.now = at + wait * 0.999 - 0.001
            if clock.now > at:
                assert (await limiter.spend(WHO, "bytes", cost)).refusal, "it was to wait longer than needed"
            clock.now = at + wait + 0.001
            assert (await limiter.spend(WHO, "bytes", size)).refusal is None

    clock = Clock()
    with patch("api.auth.windows.time", clock):
        asyncio.run(story())


@given(amount=st.integers(1, 30), pauses=st.lists(st.floats(0, 0.5), min_size=1, max_size=60))
def test_in_no_window_is_more_used_than_the_limit(amount: int, pauses: list[float]) -> None:
    async def story() -> None:
        limiter, let_in = Limiter(Limits(requests=f"{amount}/minute"), {}), [0]
        for pause in pauses:
            before, clock.now = clock.now, clock.now + pause * 60
            if clock.now // 60 > before // 60:
                let_in.append(0)
            let_in[-1] += (await limiter.spend(WHO, "requests")).refusal is None
        assert max(let_in) <= amount

    clock = Clock()
    with patch("api.auth.windows.time", clock):
        asyncio.run(story())


@given(
    amount=st.integers(1, 30),
    span=st.sampled_from(["second", "10 second", "minute", "hour"]),
    steps=st.lists(st.tuples(st.floats(0, 1.5), st.integers(1, 30)), min_size=1, max_size=40),
)
def test_this_process_counts_as_the_library_does_in_redis(
    amount: int, span: str, steps: list[tuple[float, int]]
) -> None:
    async def story() -> None:
        ours, theirs = Windows(), MemoryStorage()
        rates = SlidingWindowCounterRateLimiter(theirs)
        [policy] = policies(WHO, Limits(bytes=f"{amount}/{span}"), "bytes")
        for pause, size in steps:
            clock.now += pause * _seconds(span)
            cost = policy.cost(size)
            spent = ours.spend([policy], size)
            assert (spent.refusal is None) == await rates.hit(policy.item, *policy.whose, cost=cost)
            [use] = spent.uses
            before, _, now, counts = await theirs.get_sliding_window(policy.item.key_for(*policy.whose), policy.span)
            assert (use.before, use.now, use.now_counts) == (before, now, pytest.approx(counts, abs=1e-3))

    clock = Clock()
    with patch("api.auth.windows.time", clock), patch("limits.aio.storage.memory.time", clock):
        asyncio.run(story())


def test_what_one_limit_refuses_no_other_counts() -> None:
    windows = Windows()
    both = policies(WHO, Limits(burst="9/second", requests="2/hour"), "requests")
    refusals = [windows.spend(both, 1) for _ in range(4)]
    assert [spent.refusal is None for spent in refusals] == [True, True, False, False]
    assert [use.now for use in refusals[-1].uses] == [2, 2]


def test_counters_that_count_no_longer_are_forgotten() -> None:
    clock, windows = Clock(), Windows()
    with patch("api.auth.windows.time", clock):
        for number in range(20_000):
            who = Identity(f"tenant-{number}", frozenset(), "a test")
            windows.spend(policies(who, Limits(requests="5/second", bytes="5/hour"), "requests"), 1)
            clock.now += 0.01
    assert len(windows) < 1100, "two seconds of callers count, and twice as many are a reason to look"


async def test_what_is_refused_is_not_counted_and_others_have_their_own() -> None:
    limiter = Limiter(Limits(requests="2/hour"), {"vip": Limits(requests="5/hour")})
    refusals = [(await limiter.spend(WHO, "requests")).refusal is not None for _ in range(6)]
    assert refusals == [False, False, True, True, True, True]
    other, vip = Identity("other", frozenset(), "a test"), Identity("vip", frozenset(), "a test")
    assert (await limiter.spend(other, "requests")).refusal is None
    assert [(await limiter.spend(vip, "requests")).refusal is not None for _ in range(6)] == [*[False] * 5, True]
    told = fields((await limiter.spend(WHO, "requests")).uses)
    assert told["ratelimit-policy"] == '"requests";q=2;w=3600'
    assert told["ratelimit"].startswith('"requests";r=0;t=')


def test_a_limit_of_a_newer_release_keeps_nobody_out_and_one_that_is_none_is_not_taken() -> None:
    assert Limits.model_validate_json('{"requests": "2/hour", "joules": "1/day"}') == Limits(requests="2/hour")
    with pytest.raises(ValidationError):
        NewLimits.model_validate_json('{"joules": "1/day"}')


async def test_without_limits_nothing_is_counted_and_nothing_told() -> None:
    spent = await Limiter(Limits(), {}).spend(WHO, "requests")
    assert (spent.uses, spent.refusal, fields(spent.uses)) == ((), None, {})


@pytest.mark.parametrize("rate", ["0/minute", "10", "10/fortnight", "-1/hour", "1.5/hour", "10/0 second", "10/minute "])
def test_rates_that_are_none_are_refused(rate: str) -> None:
    with pytest.raises(ValidationError):
        Limits(requests=rate)


def _seconds(span: str) -> int:
    return {"second": 1, "10 second": 10, "minute": 60, "hour": 3600}[span]

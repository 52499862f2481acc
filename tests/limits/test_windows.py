"""Limits over time: nobody uses more than a limit, and who waits as long as told has room."""

import asyncio
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.auth.identity import Identity
from api.auth.limiting import Limiter, fields
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
    with patch("limits.aio.storage.memory.time", clock):
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
    with patch("limits.aio.storage.memory.time", clock):
        asyncio.run(story())


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

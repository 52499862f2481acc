"""The limits of a caller as policies, what was used of each, and the header fields that tell of it."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from limits import RateLimitItem, parse

from api.auth.identity import Identity
from schemas.errors import RateLimited, SlowDown
from schemas.limits import Limits

Unit = Literal["requests", "bytes", "tokens"]
_QUOTA_UNITS: Mapping[Unit, str] = {"requests": "", "bytes": ';qu="content-bytes"', "tokens": ';qu="tokens"'}
_KEPT = 4096  # callers whose policies are at hand


class Policy(NamedTuple):
    """A limit of a caller: at most `amount` in any `span` seconds, counted under `whose`.

    `name` is what the caller reads, `told` the item of `RateLimit-Policy`.
    """

    name: str
    unit: Unit
    item: RateLimitItem
    amount: int
    span: int
    whose: tuple[str, ...]
    refusal: type[RateLimited]
    told: str

    def cost(self, amount: int) -> int:
        """Who asks for more at once than a whole limit pays the whole limit."""
        return min(amount, self.amount)


class Use(NamedTuple):
    """Of a policy, what was used: in the window before and in this one, and the seconds for which each counts yet."""

    policy: Policy
    before: int
    before_counts: float
    now: int
    now_counts: float

    @property
    def told(self) -> str:
        """As an item of `RateLimit`: `t` is when all is free again if nothing more is used."""
        until, span = self.now_counts if self.now else self.before_counts, self.policy.span
        left = max(0, self.policy.amount - used(self.before, self.before_counts, self.now, span))
        return f'"{self.policy.name}";r={left};t={math.ceil(max(0.0, until))}'

    def wait(self, cost: int) -> float:
        """Seconds after which so much may be used, if nothing else is."""
        span, free = self.policy.span, self.policy.amount - cost
        if self.now <= free:
            room, count, counts = free - self.now, self.before, self.before_counts
        else:
            room, count, counts = free, self.now, self.now_counts
        return max(0.0, counts - (room + 1) * span / count) if count else 0.0


class Spent(NamedTuple):
    """How it stands with each limit that was asked, and why it was refused, if it was."""

    uses: Sequence[Use]
    refusal: RateLimited | None

    @classmethod
    def refused(cls, uses: Sequence[Use], by: Use, amount: int) -> "Spent":
        """One of `uses` left no room for `amount`."""
        wait = by.wait(by.policy.cost(amount))
        return cls(uses, by.policy.refusal(by.policy.name, retry_after=max(wait, 1.0)))


def used(before: int, before_counts: float, now: int, span: int) -> int:
    """Of the window before, the share that the span still reaches back to; of this one all."""
    return math.floor(before * before_counts / span) + now


def policies(who: Identity, tenants: Limits, unit: Unit) -> tuple[Policy, ...]:
    """What limits `who` in a unit: its key's own limits, then those of its tenant."""
    shared = _policies("", tenants, unit, ("tenant", who.tenant))
    if who.key is None or who.limits is None:
        return shared
    return _policies("key-", who.limits, unit, ("key", who.key)) + shared


def fields(uses: Sequence[Use]) -> dict[str, str]:
    """The header fields that tell of them (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not uses:
        return {}
    return {
        "ratelimit-policy": ", ".join([use.policy.told for use in uses]),
        "ratelimit": ", ".join([use.told for use in uses]),
    }


@lru_cache(maxsize=_KEPT)
def _policies(prefix: str, limits: Limits, unit: Unit, whose: tuple[str, str]) -> tuple[Policy, ...]:
    rates: Sequence[tuple[str, Unit, str | None, type[RateLimited]]] = (
        ("burst", "requests", limits.burst, SlowDown),
        ("requests", "requests", limits.requests, RateLimited),
        ("bytes", "bytes", limits.bytes, RateLimited),
        ("tokens", "tokens", limits.tokens, RateLimited),
    )
    return tuple(
        _policy(f"{prefix}{name}", unit, parse(rate), (name, *whose), refusal)
        for name, of, rate, refusal in rates
        if of == unit and rate is not None
    )


def _policy(name: str, unit: Unit, item: RateLimitItem, whose: tuple[str, ...], refusal: type[RateLimited]) -> Policy:
    span = item.get_expiry()
    told = f'"{name}";q={item.amount};w={span}{_QUOTA_UNITS[unit]}'
    return Policy(name, unit, item, item.amount, span, whose, refusal, told)

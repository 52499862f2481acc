"""How much each caller uses: counted in this process, or in Redis for all of them together.

Sliding windows of two counters (the library `limits`): what was used in the window before counts by the share of it
that the span still reaches back to. What is refused is not counted.
"""

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.storage.base import SlidingWindowCounterSupport
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from api.auth.identity import Identity
from schemas.errors import RateLimited, SlowDown
from schemas.limits import Limits

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

log = logging.getLogger(__name__)
Unit = Literal["requests", "bytes", "tokens"]
_QUOTA_UNITS: Mapping[Unit, str] = {"requests": "", "bytes": ';qu="content-bytes"', "tokens": ';qu="tokens"'}
_PATIENCE = 0.5  # seconds for an answer of Redis
_AWAY_SECONDS = 5.0  # for which a Redis that did not answer is not asked again


class Policy(NamedTuple):
    """A limit of a caller: `name` is told, what is used is counted under `whose`."""

    name: str
    unit: Unit
    item: RateLimitItem
    whose: tuple[str, ...]
    refusal: type[RateLimited] = RateLimited

    @property
    def told(self) -> str:
        """As an item of `RateLimit-Policy`."""
        return f'"{self.name}";q={self.item.amount};w={self.item.get_expiry()}{_QUOTA_UNITS[self.unit]}'


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
        span = self.policy.item.get_expiry()
        used = math.floor(self.before * self.before_counts / span) + self.now
        until = self.now_counts if self.now else self.before_counts
        return f'"{self.policy.name}";r={max(0, self.policy.item.amount - used)};t={math.ceil(max(0.0, until))}'

    def wait(self, cost: int) -> float:
        """Seconds after which so much may be used, if nothing else is."""
        span, free = self.policy.item.get_expiry(), self.policy.item.amount - cost
        if self.now <= free:
            room, used, counts = free - self.now, self.before, self.before_counts
        else:
            room, used, counts = free, self.now, self.now_counts
        return max(0.0, counts - (room + 1) * span / used) if used else 0.0


class Spent(NamedTuple):
    """How it stands with each limit that was asked, and why it was refused, if it was."""

    uses: Sequence[Use]
    refusal: RateLimited | None


class Limiter:
    """The limits of one API process. `each` are a tenant's for which `tenants` names none; `redis` is a URL or empty.

    Raises `ValueError` where there is a URL and no client for it.
    """

    def __init__(self, each: Limits, tenants: Mapping[str, Limits], redis: str = "") -> None:
        self._each = each
        self._tenants = tenants
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._pool = _pool(redis) if redis else None
        self._shared = SlidingWindowCounterRateLimiter(_storage(redis, self._pool)) if redis else None
        self._away_until = 0.0

    @property
    def away(self) -> bool:
        """Whether Redis did not answer lately: then this process counts alone."""
        return time.monotonic() < self._away_until

    async def spend(self, who: Identity, unit: Unit, amount: int = 1) -> Spent:
        """Count what `who` uses, unless one of the limits of that unit has no room for it.

        Who asks for more at once than a whole limit is let in where nothing else was used.
        """
        policies = [policy for policy in self._policies(who) if policy.unit == unit]
        if not policies or amount <= 0:
            return Spent((), None)
        if self._shared is not None and not self.away:
            try:
                return await _spend(self._shared, policies, amount)
            except StorageError:
                log.warning("Redis does not answer; each process counts what callers use by itself")
                self._away_until = time.monotonic() + _AWAY_SECONDS
        return await _spend(self._local, policies, amount)

    async def close(self) -> None:
        """Let connections go."""
        if self._pool is not None:
            await self._pool.aclose()

    def _policies(self, who: Identity) -> Sequence[Policy]:
        tenants = _policies("", self._tenants.get(who.tenant, self._each), ("tenant", who.tenant))
        if who.key is None or who.limits is None:
            return tenants
        return (*_policies("key-", who.limits, ("key", who.key)), *tenants)


def fields(uses: Sequence[Use]) -> dict[str, str]:
    """The header fields that tell of them (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not uses:
        return {}
    return {
        "ratelimit-policy": ", ".join(use.policy.told for use in uses),
        "ratelimit": ", ".join(use.told for use in uses),
    }


async def _spend(rates: SlidingWindowCounterRateLimiter, policies: Sequence[Policy], amount: int) -> Spent:
    refused: Policy | None = None
    for policy in policies:
        if not await rates.hit(policy.item, *policy.whose, cost=_cost(policy, amount)):
            refused = policy
            break
    uses = await asyncio.gather(*(_use(rates.storage, policy) for policy in policies))
    if refused is None:
        return Spent(uses, None)
    wait = uses[policies.index(refused)].wait(_cost(refused, amount))
    return Spent(uses, refused.refusal(refused.name, retry_after=max(wait, 1.0)))


async def _use(storage: Storage, policy: Policy) -> Use:
    window = cast("SlidingWindowCounterSupport", storage)
    return Use(policy, *await window.get_sliding_window(policy.item.key_for(*policy.whose), policy.item.get_expiry()))


def _cost(policy: Policy, amount: int) -> int:
    return min(amount, policy.item.amount)


@lru_cache(maxsize=1024)
def _parsed(rate: str) -> RateLimitItem:
    return parse(rate)


def _policies(prefix: str, limits: Limits, whose: tuple[str, str]) -> tuple[Policy, ...]:
    rates: Mapping[str, tuple[Unit, str | None, type[RateLimited]]] = {
        "burst": ("requests", limits.burst, SlowDown),
        "requests": ("requests", limits.requests, RateLimited),
        "bytes": ("bytes", limits.bytes, RateLimited),
        "tokens": ("tokens", limits.tokens, RateLimited),
    }
    return tuple(
        Policy(f"{prefix}{name}", unit, _parsed(rate), (name, *whose), refusal)
        for name, (unit, rate, refusal) in rates.items()
        if rate is not None
    )


def _pool(url: str) -> "ConnectionPool":
    try:
        from redis.asyncio import ConnectionPool
    except ImportError as error:
        raise ValueError("HEADRACE_REDIS wants its client: pip install 'headrace-server[redis]'") from error
    return ConnectionPool.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)


def _storage(url: str, pool: Any) -> RedisStorage:
    return RedisStorage(
        f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix="headrace", connection_pool=pool
    )

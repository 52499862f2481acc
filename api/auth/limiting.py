"""How much each caller uses: counted in this process, or in Redis for all of them together.

Sliding windows of two counters (the library `limits`): what was used in the window before counts by the share of it
that the span still reaches back to. What is refused is not counted.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from limits.aio.storage import RedisStorage
from limits.errors import StorageError

from api.auth.identity import Identity
from api.auth.policies import Policy, Spent, Unit, Use, policies
from api.auth.windows import Windows
from schemas.limits import Limits

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

log = logging.getLogger(__name__)
_PATIENCE = 0.5  # seconds for an answer of Redis
_AWAY_SECONDS = 5.0  # for which a Redis that did not answer is not asked again


class Limiter:
    """The limits of one API process. `each` are a tenant's for which `tenants` names none; `redis` is a URL or empty.

    Raises `ValueError` where there is a URL and no client for it.
    """

    def __init__(self, each: Limits, tenants: Mapping[str, Limits], redis: str = "") -> None:
        self._each = each
        self._tenants = tenants
        self._own = Windows()
        self._pool = _pool(redis) if redis else None
        self._shared = _storage(redis, self._pool) if redis else None
        self._away_until = 0.0

    @property
    def away(self) -> bool:
        """Whether Redis did not answer lately: then this process counts alone."""
        return time.monotonic() < self._away_until

    async def spend(self, who: Identity, unit: Unit, amount: int = 1) -> Spent:
        """Count what `who` uses, unless one of the limits of that unit has no room for it.

        Who asks for more at once than a whole limit is let in where nothing else was used.
        """
        asked = policies(who, self._tenants.get(who.tenant, self._each), unit)
        if not asked or amount <= 0:
            return Spent((), None)
        if self._shared is not None and not self.away:
            try:
                return await _spend(self._shared, asked, amount)
            except StorageError:
                log.warning("Redis does not answer; each process counts what callers use by itself")
                self._away_until = time.monotonic() + _AWAY_SECONDS
        return self._own.spend(asked, amount)

    async def close(self) -> None:
        """Let connections go."""
        if self._pool is not None:
            await self._pool.aclose()


async def _spend(shared: RedisStorage, asked: Sequence[Policy], amount: int) -> Spent:
    refused: Policy | None = None
    for policy in asked:
        name, cost = policy.item.key_for(*policy.whose), policy.cost(amount)
        if not await shared.acquire_sliding_window_entry(name, policy.amount, policy.span, cost):
            refused = policy
            break
    uses = await asyncio.gather(*(_use(shared, policy) for policy in asked))
    return Spent(uses, None) if refused is None else Spent.refused(uses, uses[asked.index(refused)], amount)


async def _use(shared: RedisStorage, policy: Policy) -> Use:
    return Use(policy, *await shared.get_sliding_window(policy.item.key_for(*policy.whose), policy.span))


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

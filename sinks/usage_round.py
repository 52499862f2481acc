"""What tenants use of what they have quotas on: counted from what is stored, and told by the outbox.

Counted, never added up: a count cannot drift. Counting takes the longer the more there is, so that what needs every
job of a month, or all that are stored, is counted so seldom that it takes at most a twentieth of the time.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.limits import QUOTAS, Limits
from schemas.topics import CONTROL
from schemas.usage import Usage, Used, usage_key
from sinks.postgres.engine import transaction
from sinks.postgres.rows import bulk

_OF_KEYS = text("SELECT DISTINCT tenant FROM api_keys WHERE limits ?| CAST(:names AS text[]) AND revoked_at IS NULL")
_OPEN = text("""
    SELECT tenant, coalesce(submitted_by, '') AS key, count(*) AS jobs FROM jobs
    WHERE finished_at IS NULL GROUP BY 1, 2
""")
_PAGES = text("""
    SELECT tenant, coalesce(submitted_by, '') AS key, coalesce(sum(pages_total), 0)::bigint AS pages FROM jobs
    WHERE created_at >= date_trunc('month', now(), 'UTC') GROUP BY 1, 2
""")
_STORED = text("SELECT tenant, coalesce(sum(source_size), 0)::bigint AS bytes FROM jobs WHERE NOT deleted GROUP BY 1")
_TELL = text("""
    INSERT INTO outbox (ce_id, tenant, job, topic, key, headers, value)
    SELECT ce_id, tenant, '', topic, key, '[]', value
    FROM json_to_recordset(CAST(:rows AS json)) AS told (ce_id uuid, tenant text, topic text, key text, value text)
    ORDER BY tenant
""")
_RING = text("SELECT pg_notify('headrace_outbox', '')")
_COST = 20
_AGAIN_SECONDS = 60.0
_Counts = dict[tuple[str, str], int]


class UsageRound:
    """Counts for those who have quotas, by the settings or by one of their keys.

    `each` are the limits of a tenant for which `tenants` names none.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        each: Limits,
        tenants: Mapping[str, Limits],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._each = each
        self._tenants = tenants
        self._now = now
        self._pages: _Counts = {}
        self._bytes: dict[str, int] = {}
        self._slow_due = 0.0
        self._told: dict[str, tuple[float, Usage]] = {}

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Tell of each tenant whose usage changed, and of each that uses anything once a minute.

        Nothing of it is ever wrong, so nothing is counted as found. Raises `DependencyDown`.
        """
        async with transaction(self._engine) as connection:
            keyed = set(await connection.scalars(_OF_KEYS, {"names": list(QUOTAS)}))
            if dry or not (keyed or self._each.quotas or any(limits.quotas for limits in self._tenants.values())):
                return Counter()
            at = datetime.now(UTC)
            jobs = {(row.tenant, row.key): int(row.jobs) for row in await connection.execute(_OPEN)}
            await self._count_slowly(connection)
            counted = _usages(at, jobs, self._pages, self._bytes)
            told = self._news({tenant: usage for tenant, usage in counted.items() if self._has(tenant, keyed)})
            await bulk(connection, _TELL, [_row(tenant, usage) for tenant, usage in told.items()])
            await connection.execute(_RING)
        self._told |= {tenant: (self._now(), usage) for tenant, usage in told.items()}
        return Counter()

    def _has(self, tenant: str, keyed: Collection[str]) -> bool:
        return tenant in keyed or self._tenants.get(tenant, self._each).quotas

    async def _count_slowly(self, connection: AsyncConnection) -> None:
        began = self._now()
        if began < self._slow_due:
            return
        self._pages = {(row.tenant, row.key): int(row.pages) for row in await connection.execute(_PAGES)}
        self._bytes = {row.tenant: int(row.bytes) for row in await connection.execute(_STORED)}
        self._slow_due = began + _COST * (self._now() - began)

    def _news(self, counted: Mapping[str, Usage]) -> dict[str, Usage]:
        nothing = {tenant: Usage(at=datetime.now(UTC)) for tenant in self._told.keys() - counted.keys()}
        return {tenant: usage for tenant, usage in (nothing | dict(counted)).items() if self._is_news(tenant, usage)}

    def _is_news(self, tenant: str, usage: Usage) -> bool:
        before = self._told.get(tenant)
        if before is None or before[1].model_copy(update={"at": usage.at}) != usage:
            return True
        return usage != Usage(at=usage.at) and self._now() - before[0] > _AGAIN_SECONDS


def _usages(at: datetime, jobs: _Counts, pages: _Counts, stored: Mapping[str, int]) -> dict[str, Usage]:
    by_key: dict[str, dict[str, Used]] = {tenant: {} for tenant in stored}
    for tenant, key in sorted(jobs.keys() | pages.keys()):
        used = Used(jobs=jobs.get((tenant, key), 0), monthly_pages=pages.get((tenant, key), 0))
        by_key.setdefault(tenant, {})[key] = used
    return {
        tenant: Usage(
            at=at,
            jobs=sum(used.jobs for used in keys.values()),
            monthly_pages=sum(used.monthly_pages for used in keys.values()),
            stored_bytes=stored.get(tenant, 0),
            keys={key: used for key, used in keys.items() if key},
        )
        for tenant, keys in by_key.items()
    }


def _row(tenant: str, usage: Usage) -> dict[str, Any]:
    key = usage_key(tenant).decode()
    value = usage.model_dump_json()
    return {"ce_id": str(uuid.uuid4()), "tenant": tenant, "topic": CONTROL.name, "key": key, "value": value}

"""Quotas: what a tenant or key may have at once, or in a month, by the last count that was heard.

No database is asked: the reconciler counts what is stored, and tells it by `headrace.control`. What this process has
accepted since counts beside it, so that a quota is passed by little however old the count is.
"""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from api.auth.identity import Identity
from schemas.errors import QuotaExceeded, RateLimited
from schemas.limits import Limits
from schemas.usage import STALE, Usage, Used

_ON_ITS_WAY = timedelta(seconds=5)  # from an accepted job to a count that knows of it
_LATER = 5.0


class UsageReader(Protocol):
    """What was counted, without asking anybody."""

    def usage(self, tenant: str) -> Usage | None:
        """The last count of a tenant."""
        ...


class _Accepted(NamedTuple):
    at: datetime
    key: str | None
    size: int


class Quotas:
    """The quotas of one API process. `each` are a tenant's for which `tenants` names none."""

    def __init__(self, each: Limits, tenants: Mapping[str, Limits], counted: UsageReader) -> None:
        self._each = each
        self._tenants = tenants
        self._counted = counted
        self._accepted: dict[str, deque[_Accepted]] = {}

    def check(self, who: Identity) -> None:
        """Return where `who` may submit another document.

        Raises `RateLimited` while too many of its jobs have not ended, `QuotaExceeded` where the month's pages are used
        up or too much is stored. A document's pages are not known before it is read: the last of a month may pass the
        quota.
        """
        now = datetime.now(UTC)
        usage = self._counted.usage(who.tenant)
        if usage is None or not usage.fresh(now):
            usage = Usage(at=now - STALE)
        since = self._since(who.tenant, usage.at)
        self._one("", self._tenants.get(who.tenant, self._each), usage, since, usage.of_month(now))
        bytes_at_most = self._tenants.get(who.tenant, self._each).stored_bytes
        if bytes_at_most is not None and usage.stored_bytes + sum(each.size for each in since) >= bytes_at_most:
            raise QuotaExceeded("stored-bytes")
        if who.key is not None and who.limits is not None:
            own = [each for each in since if each.key == who.key]
            self._one("key-", who.limits, usage.keys.get(who.key, Used()), own, usage.of_month(now))

    def accepted(self, who: Identity, size: int) -> None:
        """A document of so many bytes was accepted."""
        limits = self._tenants.get(who.tenant, self._each)
        if limits.quotas or (who.limits is not None and who.limits.quotas):
            self._accepted.setdefault(who.tenant, deque()).append(_Accepted(datetime.now(UTC), who.key, size))

    @staticmethod
    def _one(prefix: str, limits: Limits, used: Used, since: list[_Accepted], of_month: bool) -> None:
        if limits.jobs is not None and used.jobs + len(since) >= limits.jobs:
            raise RateLimited(f"{prefix}jobs", retry_after=_LATER)
        if limits.monthly_pages is not None and of_month and used.monthly_pages >= limits.monthly_pages:
            raise QuotaExceeded(f"{prefix}monthly-pages")

    def _since(self, tenant: str, at: datetime) -> list[_Accepted]:
        """What was accepted here and is not in a count made at `at`."""
        accepted = self._accepted.get(tenant)
        if accepted is None:
            return []
        while accepted and accepted[0].at < at - _ON_ITS_WAY:
            accepted.popleft()
        if not accepted:
            del self._accepted[tenant]
        return list(accepted)

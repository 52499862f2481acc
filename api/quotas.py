"""Quotas: what a tenant or key may have at once, or in a month, by the last count that was heard.

No database is asked: the reconciler counts what is stored, and tells it by `headrace.control`. What this process has
accepted since counts beside it, so that a quota is passed by little however old the count is.
"""

from collections import Counter, deque
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


class _Since:
    """What this process accepted of one tenant and no count can know of yet: summed, however much it is."""

    def __init__(self) -> None:
        self._each: deque[_Accepted] = deque()
        self.keys: Counter[str | None] = Counter()
        self.size = 0

    def __len__(self) -> int:
        return len(self._each)

    def add(self, accepted: _Accepted) -> None:
        self._each.append(accepted)
        self.keys[accepted.key] += 1
        self.size += accepted.size

    def forget(self, before: datetime) -> None:
        while self._each and self._each[0].at < before:
            known = self._each.popleft()
            self.keys[known.key] -= 1
            if not self.keys[known.key]:
                del self.keys[known.key]
            self.size -= known.size


_NOTHING = _Since()
_NO_USAGE = Usage(at=datetime.min.replace(tzinfo=UTC))


class Quotas:
    """The quotas of one API process. `each` are a tenant's for which `tenants` names none."""

    def __init__(self, each: Limits, tenants: Mapping[str, Limits], counted: UsageReader) -> None:
        self._each = each
        self._tenants = tenants
        self._counted = counted
        self._accepted: dict[str, _Since] = {}

    def check(self, who: Identity) -> None:
        """Return where `who` may submit another document.

        Raises `RateLimited` while too many of its jobs have not ended, `QuotaExceeded` where the month's pages are used
        up or too much is stored. A document's pages are not known before it is read: the last of a month may pass the
        quota.
        """
        tenants, own = self._tenants.get(who.tenant, self._each), who.limits if who.key is not None else None
        if not tenants.quotas and (own is None or not own.quotas):
            return
        now = datetime.now(UTC)
        usage = self._counted.usage(who.tenant)
        if usage is None or not usage.fresh(now):
            usage = _NO_USAGE
        since = self._since(who.tenant, max(usage.at, now - STALE))
        of_month = usage.of_month(now)
        _check("", tenants, usage, len(since), of_month=of_month)
        if tenants.stored_bytes is not None and usage.stored_bytes + since.size >= tenants.stored_bytes:
            raise QuotaExceeded("stored-bytes")
        if own is not None:
            used = usage.keys.get(str(who.key), Used())
            _check("key-", own, used, since.keys[who.key], of_month=of_month)

    def accepted(self, who: Identity, size: int) -> None:
        """A document of so many bytes was accepted."""
        limits = self._tenants.get(who.tenant, self._each)
        if limits.quotas or (who.limits is not None and who.limits.quotas):
            since = self._accepted.get(who.tenant)
            if since is None:
                since = self._accepted[who.tenant] = _Since()
            since.add(_Accepted(datetime.now(UTC), who.key, size))

    def _since(self, tenant: str, at: datetime) -> _Since:
        """What was accepted here and is not in a count made at `at`."""
        since = self._accepted.get(tenant, _NOTHING)
        since.forget(at - _ON_ITS_WAY)
        if not since:
            self._accepted.pop(tenant, None)
        return since


def _check(prefix: str, limits: Limits, used: Used, since: int, *, of_month: bool) -> None:
    if limits.jobs is not None and used.jobs + since >= limits.jobs:
        raise RateLimited(f"{prefix}jobs", retry_after=_LATER)
    if limits.monthly_pages is not None and of_month and used.monthly_pages >= limits.monthly_pages:
        raise QuotaExceeded(f"{prefix}monthly-pages")

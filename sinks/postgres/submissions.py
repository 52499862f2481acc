"""Submissions that carry an `Idempotency-Key`, as role `headrace_api`."""

from schemas.errors import IdempotencyInProgress, IdempotencyKeyReused
from schemas.ports import Taken
from sinks.postgres.calls import Calls

_TAKE = "SELECT ours, job, fingerprint, published, answer FROM take_submission($1, $2, $3, $4, $5, $6)"
_DONE = "SELECT submission_done($1, $2, $3, $4)"
_GIVEN_UP = "SELECT submission_given_up($1, $2, $3)"


class PostgresSubmissions:
    """`ports.Submissions`. `lease` seconds after it was taken, a row that is not published may be taken over."""

    def __init__(self, url: str, *, expiry_hours: float, lease: float) -> None:
        self._calls = Calls(url)
        self._expiry = expiry_hours * 3600
        self._lease = lease

    async def take(self, tenant: str, key: str, fingerprint: str, job: str) -> Taken:
        """Insert, or take over, or find what was answered."""
        row = await self._calls.row(_TAKE, tenant, key, fingerprint, job, self._expiry, self._lease)
        if row is None:  # swept between the two statements: nobody holds it now
            raise IdempotencyInProgress(retry_after=self._lease)
        if row["ours"]:
            return Taken(job=row["job"])
        if row["fingerprint"] != fingerprint:
            raise IdempotencyKeyReused
        if not row["published"]:
            raise IdempotencyInProgress(retry_after=self._lease)
        return Taken(answer=row["answer"])

    async def done(self, tenant: str, key: str, job: str, answer: str) -> None:
        """It is on the log."""
        await self._calls.row(_DONE, tenant, key, job, answer)

    async def give_up(self, tenant: str, key: str, job: str) -> None:
        """It may not be on the log: whoever comes next may take it over at once."""
        await self._calls.row(_GIVEN_UP, tenant, key, job)

    async def close(self) -> None:
        """Let the connections go."""
        await self._calls.close()

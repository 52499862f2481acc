"""Submissions that carry an `Idempotency-Key`, as role `headrace_api`."""

from sqlalchemy import text

from schemas.errors import IdempotencyInProgress, IdempotencyKeyReused
from schemas.ports import Taken
from sinks.postgres.engine import as_tenant, connect

# A row that was given up, or whose process died, is taken over with its job's id; one that has expired begins anew.
_TAKE = text("""
    INSERT INTO idempotency_keys AS known (tenant, key, fingerprint, job) VALUES (:tenant, :key, :fingerprint, :job)
    ON CONFLICT (tenant, key) DO UPDATE SET taken_at = now(), answer = NULL, published = false,
        fingerprint = excluded.fingerprint,
        job = CASE WHEN known.created_at < now() - make_interval(secs => :expiry) THEN excluded.job ELSE known.job END,
        created_at = CASE WHEN known.created_at < now() - make_interval(secs => :expiry) THEN now()
            ELSE known.created_at END
    WHERE known.created_at < now() - make_interval(secs => :expiry)
        OR known.fingerprint = excluded.fingerprint AND NOT known.published
            AND known.taken_at < now() - make_interval(secs => :lease)
    RETURNING job
""")
_KNOWN = text("SELECT fingerprint, published, answer FROM idempotency_keys WHERE tenant = :tenant AND key = :key")
_DONE = text("""
    UPDATE idempotency_keys SET published = true, answer = :answer WHERE tenant = :tenant AND key = :key AND job = :job
""")
_GIVEN_UP = text("""
    UPDATE idempotency_keys SET taken_at = '-infinity'
    WHERE tenant = :tenant AND key = :key AND job = :job AND NOT published
""")


class PostgresSubmissions:
    """`ports.Submissions`. `lease` seconds after it was taken, a row that is not published may be taken over."""

    def __init__(self, url: str, *, expiry_hours: float, lease: float) -> None:
        self._engine = connect(url)
        self._times = {"expiry": expiry_hours * 3600, "lease": lease}
        self._lease = lease

    async def take(self, tenant: str, key: str, fingerprint: str, job: str) -> Taken:
        """Insert, or take over, or find what was answered."""
        named = {"tenant": tenant, "key": key}
        async with as_tenant(self._engine, tenant) as connection:
            values = named | self._times | {"fingerprint": fingerprint, "job": job}
            ours = await connection.scalar(_TAKE, values)
            if ours is not None:
                return Taken(job=str(ours))
            row = (await connection.execute(_KNOWN, named)).one()
        if row.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        if not row.published:
            raise IdempotencyInProgress(retry_after=self._lease)
        return Taken(answer=str(row.answer))

    async def done(self, tenant: str, key: str, job: str, answer: str) -> None:
        """It is on the log."""
        async with as_tenant(self._engine, tenant) as connection:
            await connection.execute(_DONE, {"tenant": tenant, "key": key, "job": job, "answer": answer})

    async def give_up(self, tenant: str, key: str, job: str) -> None:
        """It may not be on the log: whoever comes next may take it over at once."""
        async with as_tenant(self._engine, tenant) as connection:
            await connection.execute(_GIVEN_UP, {"tenant": tenant, "key": key, "job": job})

    async def close(self) -> None:
        """Let the connections go."""
        await self._engine.dispose()

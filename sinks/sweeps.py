"""Rows that nothing can ask for any more, swept behind the projector.

The sweeper's clock is the projector's low-water time: nothing is old that the projector has not passed. Where it
stands still, so does time, and nothing is swept.
"""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.lifetimes import DRAFT, LEFTOVER, Lifetimes
from schemas.topics import DOCUMENTS, EVENTS, JOBS
from sinks.postgres.engine import transaction
from sinks.postgres.rows import packed

_BATCH = 1000
_READ = (JOBS, EVENTS, DOCUMENTS)

# Every partition must have been read: one that was not says nothing of how far it is.
_THROUGH = text("""
    SELECT CASE WHEN bool_and(known >= partitions) THEN min(through) END
    FROM json_to_recordset(CAST(:rows AS json)) AS asked (topic text, partitions integer)
    LEFT JOIN LATERAL (
        SELECT count(*) AS known, min(through) AS through FROM projection WHERE projection.topic = asked.topic
    ) AS read ON true
""")
_INBOX = text("DELETE FROM inbox WHERE ctid = ANY(ARRAY(SELECT ctid FROM inbox WHERE at < :before LIMIT :batch))")
_LETTERS = text("""
    DELETE FROM dead_letters WHERE id = ANY(ARRAY(SELECT id FROM dead_letters WHERE at < :before LIMIT :batch))
""")
_WAITING = text("""
    DELETE FROM waiting_jobs WHERE (job, run) IN (
        SELECT job, waiting_jobs.run FROM waiting_jobs JOIN jobs ON jobs.id = job
        WHERE finished_at < :before AND waiting_jobs.run <= runs[1] LIMIT :batch
    )
""")
_SLICES = text("""
    DELETE FROM waiting_slices WHERE (job, run, first) IN (
        SELECT job, waiting_slices.run, first FROM waiting_slices JOIN jobs ON jobs.id = job
        WHERE finished_at < :before AND waiting_slices.run <= runs[1] LIMIT :batch
    )
""")
_MESSAGES = text("""
    DELETE FROM webhook_messages WHERE id = ANY(ARRAY(SELECT id FROM webhook_messages WHERE at < :before LIMIT :batch))
""")
_KEYS = text("""
    DELETE FROM idempotency_keys
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_keys WHERE created_at < :before LIMIT :batch))
""")
# The row of the document stays: it says up to which revision nothing of it is to come back.
_DELETED = text("""
    WITH gone AS (
        SELECT id FROM jobs
        WHERE deleted AND finished_at < :before AND NOT EXISTS (SELECT FROM dead_letters WHERE job = jobs.id)
        LIMIT :batch FOR UPDATE SKIP LOCKED
    ), parts_gone AS (DELETE FROM parts USING gone WHERE job = id
    ), results_gone AS (DELETE FROM results USING gone WHERE job = id
    ), trails_gone AS (DELETE FROM trails USING gone WHERE job = id
    ), story_gone AS (DELETE FROM job_events USING gone WHERE job = id
    ), pages_gone AS (DELETE FROM indexed_pages USING gone WHERE job = id AND index IN ('pgvector', 'weaviate'))
    DELETE FROM jobs USING gone WHERE jobs.id = gone.id
""")


async def low_water(engine: AsyncEngine) -> datetime | None:
    """All that the projector's topics held before this moment is stored; None while a partition was never read."""
    asked = [{"topic": topic.name, "partitions": topic.partitions} for topic in _READ]
    async with transaction(engine) as connection:
        through: datetime | None = await connection.scalar(_THROUGH, {"rows": packed(asked)})
    return through


class RowSweep:
    """One round over the tables that only grow."""

    def __init__(
        self,
        engine: AsyncEngine,
        lives: Lifetimes,
        message: timedelta = timedelta(days=30),
        key: timedelta = timedelta(days=1),
    ) -> None:
        self._engine = engine
        self._plan = (
            ("inbox_rows", _INBOX, lives.inbox),
            ("dead_letter_rows", _LETTERS, lives.letter),
            ("waiting_rows", _WAITING, LEFTOVER),
            ("waiting_rows", _SLICES, LEFTOVER),
            ("jobs_of_deleted_documents", _DELETED, lives.named),
            ("webhook_messages", _MESSAGES, message),
            ("idempotency_keys", _KEYS, DRAFT + key),
        )

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Sweep what is old enough, a thousand rows a transaction; raises `DependencyDown`."""
        found: Counter[str] = Counter()
        through = await low_water(self._engine)
        if through is None:
            return found
        for what, statement, life in self._plan:
            found[what] += await self._swept(statement, through - life, dry=dry)
        return found

    async def _swept(self, statement: TextClause, before: datetime, *, dry: bool) -> int:
        count = 0
        while True:
            async with transaction(self._engine) as connection:
                done = await connection.execute(statement, {"before": before, "batch": _BATCH})
                count += done.rowcount
                if dry:  # at most one batch is counted, and nothing of it kept
                    await connection.rollback()
                    return count
            if done.rowcount < _BATCH:
                return count

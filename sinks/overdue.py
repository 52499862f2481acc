"""Jobs past their deadline that nobody has ended: the event that ends them, as an announcement of the outbox.

A worker that meets a record past its deadline says so itself. What is here is for jobs of which no record moves any
more: lost by a bug, held by a halted step, waiting behind a dispatcher that does not run.
"""

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas import topics
from schemas.codec import encode
from schemas.documents import PartSkipped
from schemas.envelope import NAMESPACE
from sinks.announcements import announced, envelope_of
from sinks.postgres import statements
from sinks.postgres.engine import transaction
from sinks.postgres.rows import bulk

GRACE_SECONDS = 30.0
"""How long the ordinary way has: workers and dispatcher expire what they meet, and the projector hears of it."""
_BATCH = 500

# A page that was begun again after its document's run has as long as a new job, from then on.
_OVERDUE = text("""
    SELECT id AS job, tenant, document_id, revision, plan, lane, data_class, runs[1] AS run FROM jobs
    WHERE finished_at IS NULL AND id > :after
        AND (deadline < now() - make_interval(secs => :grace)
            OR deadline IS NULL AND to_timestamp(revision / 1000000.0) < now() - make_interval(secs => :most))
        AND NOT EXISTS (
            SELECT FROM parts WHERE parts.job = jobs.id AND parts.run > jobs.runs[1]
                AND parts.at > now() - make_interval(secs => :most)
        )
    ORDER BY id LIMIT :batch
""")


class Overdue:
    """Finds jobs without an end past their deadline, and expires them. `hours`: the deadline of jobs without one."""

    def __init__(self, engine: AsyncEngine, hours: float) -> None:
        self._engine = engine
        self._most = hours * 3600

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Announce that they are expired, each run of a job once; raises `DependencyDown`."""
        found: Counter[str] = Counter()
        after = ""
        while True:
            async with transaction(self._engine) as connection:
                asked = {"after": after, "grace": GRACE_SECONDS, "most": self._most, "batch": _BATCH}
                jobs = (await connection.execute(_OVERDUE, asked)).all()
                if not dry:
                    told = [_expired(job) | {"place": place} for place, job in enumerate(jobs)]
                    await bulk(connection, statements.ANNOUNCE, told)
            found["overdue_jobs"] += len(jobs)
            if len(jobs) < _BATCH:
                return found
            after = jobs[-1].job


def _expired(job: Row[Any]) -> dict[str, Any]:
    """The document's own run ends: what its pages came to in it still counts."""
    name = uuid.uuid5(NAMESPACE, f"{job.job}|overdue|{job.run}")
    envelope = envelope_of(job, name, PartSkipped.kind(), part=0, at=datetime.now(UTC))
    event = PartSkipped(step="reconciler", reason="expired")
    return announced(envelope, encode(topics.EVENTS.name, envelope, event))

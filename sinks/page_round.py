"""Results against pgvector: a page that was read and is said to be indexed, but whose passages are gone, is cut again.

Its text lies in PostgreSQL as the step `ocr` gave it. It goes back to the step `chunk` as the same record that it was,
so whatever is made of it has the same ids as before, in every index.
"""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas import topics
from schemas.documents import PageRead
from schemas.envelope import NAMESPACE
from schemas.records import Outgoing
from sinks.announcements import announced, envelope_of
from sinks.postgres import statements
from sinks.postgres.engine import transaction
from sinks.postgres.rows import bulk

SETTLED_SECONDS = 60.0
_BATCH = 500
_MOST_BYTES = 512 * 1024  # of a record that the relay is given: a topic takes a million
_MOST_PAGES = 10_000  # of one round: the outbox is others' way too
_AT_ONCE = 8

# What is not to be there is not missed: pages of deleted jobs and of revisions that a newer one replaced.
_READ = text("""
    SELECT results.job, results.part, results.run, results.ce_id, jobs.tenant, jobs.document_id, jobs.revision,
        coalesce(results.plan, jobs.plan) AS plan, jobs.lane, jobs.data_class, coalesce(parts.at, now()) AS at,
        octet_length(CAST(payload AS text)) AS size,
        NOT jobs.deleted AND jobs.finished_at < now() - make_interval(secs => :settled)
            AND jobs.revision > coalesce(drops.dropped, 0) AND shown.run = results.run
            AND (page.run IS NULL OR page.run < results.run OR page.run = results.run AND page.passages > (
                SELECT count(*) FROM chunks WHERE chunks.tenant = jobs.tenant
                    AND chunks.document_id = jobs.document_id AND chunks.revision = jobs.revision
                    AND chunks.page = results.part AND chunks.job = results.job AND chunks.run = results.run
            )) AS lost
    FROM results
    JOIN jobs ON jobs.id = results.job
    LEFT JOIN parts ON parts.job = results.job AND parts.part = results.part AND parts.kind = 'read'
    LEFT JOIN parts AS shown ON shown.job = results.job AND shown.part = results.part
        AND shown.kind = 'indexed:pgvector'
    LEFT JOIN index_drops AS drops ON drops.index = 'pgvector' AND drops.tenant = jobs.tenant
        AND drops.document_id = jobs.document_id
    LEFT JOIN indexed_pages AS page ON page.index = 'pgvector' AND page.job = results.job AND page.page = results.part
    WHERE (results.job, results.part) > (:job, :part)
    ORDER BY results.job, results.part LIMIT :batch
""")
_PAYLOADS = text("""
    SELECT job, part, CAST(payload AS text) AS payload
    FROM results JOIN json_to_recordset(CAST(:rows AS json)) AS lost (job text, part integer) USING (job, part)
""")


class PageRound:
    """One round over the results of all jobs that ended."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Announce the pages that lack their passages, each once an hour at most; raises `DependencyDown`.

        A page too large for that is only counted: `pages_to_submit_again`.
        """
        found = Counter(pages_without_passages=0, pages_to_submit_again=0)
        job, part = "", 0
        while True:
            async with transaction(self._engine) as connection:
                asked = {"job": job, "part": part, "settled": SETTLED_SECONDS, "batch": _BATCH}
                rows = (await connection.execute(_READ, asked)).all()
                lost = {(row.job, row.part): row for row in rows if row.lost}
                small = [name for name, row in lost.items() if row.size <= _MOST_BYTES]
                found += Counter(pages_without_passages=len(small), pages_to_submit_again=len(lost) - len(small))
                for start in range(0, 0 if dry else len(small), _AT_ONCE):
                    named = [{"job": job, "part": part} for job, part in small[start : start + _AT_ONCE]]
                    payloads = await bulk(connection, _PAYLOADS, named)
                    told = [_again(lost[row.job, row.part], row.payload) for row in payloads]
                    placed = [row | {"place": place} for place, row in enumerate(told)]
                    await bulk(connection, statements.ANNOUNCE, placed)
            if len(rows) < _BATCH or found["pages_without_passages"] > _MOST_PAGES:
                return found
            job, part = rows[-1].job, rows[-1].part


def _again(row: Row[Any], payload: str) -> dict[str, Any]:
    """The record that `ocr` made of the page; named by the hour, so that it may be asked for again."""
    envelope = envelope_of(row, row.ce_id, PageRead.kind(), part=row.part, at=row.at)
    value = json.dumps(json.loads(payload)).encode()
    record = Outgoing(topics.CHUNK.name, row.job.encode(), value, envelope.headers())
    again = uuid.uuid5(NAMESPACE, f"{row.job}|{row.part}|{row.run}|cut again|{datetime.now(UTC):%Y%m%d%H}")
    return announced(envelope, record) | {"ce_id": str(again)}

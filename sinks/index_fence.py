"""The fence before an index: which pages of a batch are written to it, decided and held in one transaction.

It stands in PostgreSQL for every index, so that an index without transactions of its own (Weaviate) is written under
the same promise: a page belongs to its highest run, and what was dropped stays dropped.
"""

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sinks.index_pages import Drop, Page
from sinks.postgres.engine import transaction
from sinks.postgres.rows import bulk

# Who writes a document shares its lock, who drops it has it alone, each until the end of its transaction. Everyone
# takes the locks in one order, so nobody waits in a ring.
_LOCK = text("""
    SELECT CASE WHEN alone THEN CAST(pg_advisory_xact_lock(key) AS text)
        ELSE CAST(pg_advisory_xact_lock_shared(key) AS text) END
    FROM (
        SELECT hashtextextended(concat_ws(E'\\x1f', CAST(:index AS text), tenant, document_id), 0) AS key,
            bool_or(alone) AS alone
        FROM json_to_recordset(CAST(:rows AS json)) AS asked (tenant text, document_id text, alone boolean)
        GROUP BY 1 ORDER BY 1
    ) AS locks
""")

_DROP = text("""
    INSERT INTO index_drops (index, tenant, document_id, dropped)
    SELECT :index, tenant, document_id, max(through)
    FROM json_to_recordset(CAST(:rows AS json)) AS asked (tenant text, document_id text, through bigint)
    GROUP BY tenant, document_id ORDER BY tenant, document_id
    ON CONFLICT (index, tenant, document_id) DO UPDATE SET dropped = greatest(index_drops.dropped, excluded.dropped)
""")

# Compare-and-set: a page belongs to its highest run, and whoever writes it holds its row until the commit. A row that
# was there before is told by `again`.
_CLAIM = text("""
    WITH asked AS (
        SELECT page.*, coalesce(dropped, 0) AS dropped
        FROM json_to_recordset(CAST(:rows AS json)) AS page (job text, page integer, tenant text, document_id text,
            revision bigint, run integer, passages integer)
        LEFT JOIN index_drops ON index_drops.index = :index AND index_drops.tenant = page.tenant
            AND index_drops.document_id = page.document_id
    ), claimed AS (
        INSERT INTO indexed_pages (index, job, page, tenant, run, passages)
        SELECT :index, job, page, tenant, run, passages FROM asked WHERE revision > dropped
        ORDER BY job, page
        ON CONFLICT (index, job, page) DO UPDATE SET run = excluded.run, passages = excluded.passages
        WHERE excluded.run >= indexed_pages.run
        RETURNING job, page, xmax <> 0 AS again
    )
    SELECT job, page, dropped, revision <= dropped AS refused, claimed.job IS NOT NULL AS ours, again
    FROM asked LEFT JOIN claimed USING (job, page)
""")


@dataclass(frozen=True, slots=True)
class Admission:
    """What to do to the index before the transaction ends: delete `drops` and `refused`, then replace `pages`.

    `suspects` are the places of those pages of which an earlier attempt may lie half-written in an index without
    transactions.
    """

    drops: tuple[Drop, ...]
    refused: tuple[Page, ...]
    pages: tuple[Page, ...]
    suspects: frozenset[uuid.UUID]


async def announced(engine: AsyncEngine, index: str, pages: Sequence[Page]) -> frozenset[tuple[str, int]]:
    """Note in a transaction of its own that pages are about to be written; the job and page of those noted before.

    For an index without transactions: after a crash, what was at work on a page stands here. Raises as `transaction`.
    """
    async with transaction(engine) as connection:
        found = await bulk(connection, _CLAIM.bindparams(index=index), [_asked(page) for page in pages])
    return frozenset((row.job, row.page) for row in found if row.again)


async def exclude_writers(connection: AsyncConnection, index: str, tenant: str, documents: Iterable[str]) -> None:
    """Be alone with these documents in an index until the transaction ends: who writes them waits, or has ended."""
    asked = [{"tenant": tenant, "document_id": document, "alone": True} for document in documents]
    await bulk(connection, _LOCK.bindparams(index=index), asked)


@asynccontextmanager
async def admission(
    engine: AsyncEngine,
    index: str,
    pages: Sequence[Page],
    drops: Sequence[Drop],
    noted: frozenset[tuple[str, int]] = frozenset(),
) -> AsyncIterator[tuple[AsyncConnection, Admission]]:
    """A transaction in which the admitted pages are ours alone, and no dropped document is written.

    A page of a dropped revision is refused and its document deleted again: an earlier attempt to write it, whose end
    we never learned, may have come after the drop. `noted` is what `announced` gave. Raises as `transaction` does.
    """
    async with transaction(engine) as connection:
        written = [{"tenant": page.tenant, "document_id": page.document, "alone": False} for page in pages]
        dropped = [{"tenant": drop.tenant, "document_id": drop.document, "alone": True} for drop in drops]
        await bulk(connection, _LOCK.bindparams(index=index), written + dropped)
        # Statements of their own after the locks: they must see what was committed while those were waited for.
        throughs = [{"tenant": drop.tenant, "document_id": drop.document, "through": drop.through} for drop in drops]
        await bulk(connection, _DROP.bindparams(index=index), throughs)
        found = await bulk(connection, _CLAIM.bindparams(index=index), [_asked(page) for page in pages])
        named = {(page.job, page.page): page for page in pages}
        late = [(named[row.job, row.page], row.dropped) for row in found if row.refused]
        again = {Drop(page.tenant, page.document, through) for page, through in late}
        ours = [named[row.job, row.page] for row in found if row.ours]
        yield (
            connection,
            Admission(
                drops=(*drops, *again),
                refused=tuple(page for page, _ in late),
                pages=tuple({page.place: page for page in ours}.values()),
                suspects=frozenset(page.place for page in ours if (page.job, page.page) in noted),
            ),
        )


def _asked(page: Page) -> dict[str, str | int]:
    return {
        "job": page.job,
        "page": page.page,
        "tenant": page.tenant,
        "document_id": page.document,
        "revision": page.revision,
        "run": page.run,
        "passages": len(page.passages),
    }

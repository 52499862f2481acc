"""Documents by their callers' ids: the newest submission of each, unless it was deleted since."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.jobs import DocumentList, DocumentView
from sinks.postgres import cursors

_ORDER = "revision"
_ONE = text("""
    SELECT documents.document_id, documents.revision, documents.job, documents.current, jobs.state, jobs.filename,
        jobs.created_at
    FROM documents JOIN jobs ON jobs.id = documents.job
    WHERE documents.tenant = :tenant AND documents.document_id = :document AND documents.revision > documents.dropped
""")
_PAGE = text("""
    SELECT documents.document_id, documents.revision, documents.job, documents.current, jobs.state, jobs.filename,
        jobs.created_at
    FROM documents JOIN jobs ON jobs.id = documents.job
    WHERE documents.tenant = :tenant AND documents.revision > documents.dropped
        AND (documents.revision, documents.job) < (:revision, :job)
    ORDER BY documents.revision DESC, documents.job DESC LIMIT :limit
""")
_BEFORE_ALL: tuple[int, str] = (2**63 - 1, "")


async def document(connection: AsyncConnection, tenant: str, name: str) -> DocumentView | None:
    """One document, or None where the tenant has none of this id (any more)."""
    row = (await connection.execute(_ONE, {"tenant": tenant, "document": name})).mappings().first()
    return None if row is None else DocumentView(**row)


async def documents(connection: AsyncConnection, tenant: str, after: str | None, limit: int) -> DocumentList:
    """A page of a tenant's documents, newest first; raises `BadRequest` for a cursor of another list."""
    revision, job = _BEFORE_ALL if after is None else cursors.decode(after, _ORDER)
    asked: dict[str, Any] = {"tenant": tenant, "revision": revision, "job": job, "limit": limit + 1}
    rows = (await connection.execute(_PAGE, asked)).mappings().all()
    shown, following = cursors.cut(rows, limit, _ORDER, lambda row: (row["revision"], row["job"]))
    return DocumentList(data=[DocumentView(**row) for row in shown], **following)

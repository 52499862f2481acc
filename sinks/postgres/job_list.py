"""Lists of jobs, newest first, a page at a time: by keyset, so that jobs that come meanwhile shift nothing."""

from typing import Any

from sqlalchemy import DateTime, Select, Text, column, select, table, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.jobs import JobList, JobQuery, JobSummary
from sinks.postgres import cursors

_MOMENT = DateTime(timezone=True)
_JOBS = table(
    "jobs",
    column("tenant", Text),
    column("tags", ARRAY(Text)),
    *(column(name, _MOMENT if name.endswith("_at") else Text) for name in JobSummary.model_fields if name != "tags"),
)


async def jobs(connection: AsyncConnection, tenant: str, query: JobQuery) -> JobList:
    """One page of a tenant's jobs; raises `BadRequest` for a cursor of another list."""
    rows = (await connection.execute(_page(tenant, query))).mappings().all()
    shown, more = rows[: query.limit], len(rows) > query.limit
    return JobList(
        data=[JobSummary(**row) for row in shown],
        has_more=more,
        next=cursors.encode(query.order, cursors.micros(shown[-1][query.order]), shown[-1]["id"]) if more else None,
    )


def _page(tenant: str, query: JobQuery) -> Select[Any]:
    """The page's rows and one more, which tells whether there is a next page.

    The tenant is named beside the row policy: the planner then takes the index that begins with it.
    """
    of, by = _JOBS.c, _JOBS.c[query.order]
    found = select(*(of[name] for name in JobSummary.model_fields)).where(of.tenant == tenant, by.is_not(None))
    if query.state:
        found = found.where(of.state.in_(query.state))
    if query.document_id is not None:
        found = found.where(of.document_id == query.document_id)
    if query.lane is not None:
        found = found.where(of.lane == query.lane)
    if query.tag:
        found = found.where(of.tags.contains(list(query.tag)))
    if query.since is not None:
        found = found.where(by >= query.since)
    if query.until is not None:
        found = found.where(by < query.until)
    if query.after is not None:
        value, job = cursors.decode(query.after, query.order)
        found = found.where(tuple_(by, of.id) < tuple_(cursors.moment(value), job))
    return found.order_by(by.desc(), of.id.desc()).limit(query.limit + 1)

"""Lists of jobs, newest first, a page at a time: by keyset, so that jobs that come meanwhile shift nothing."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    RowMapping,
    Select,
    Text,
    column,
    select,
    table,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.job_choice import ChosenJobs
from schemas.jobs import JobFilter, JobList, JobQuery, JobState, JobSummary
from sinks.postgres import cursors

_MOMENT = DateTime(timezone=True)
_TYPES: dict[str, Any] = {"tags": ARRAY(Text), "cancelling": Boolean, "deleted": Boolean}
_JOBS = table(
    "jobs",
    column("tenant", Text),
    column("plan", Text),
    column("deadline", _MOMENT),
    column("source_key", Text),
    column("source_sha256", Text),
    column("source_size", BigInteger),
    *(column(name, _TYPES.get(name, _MOMENT if name.endswith("_at") else Text)) for name in JobSummary.model_fields),
)


async def jobs(connection: AsyncConnection, tenant: str, query: JobQuery) -> JobList:
    """One page of a tenant's jobs; raises `BadRequest` for a cursor of another list."""
    rows = (await connection.execute(_page(tenant, query))).mappings().all()
    of = query.order
    shown, following = cursors.cut(rows, query.limit, of, lambda row: (cursors.micros(row[of]), row["id"]))
    return JobList(data=[JobSummary(**row) for row in shown], **following)


def _page(tenant: str, query: JobQuery) -> Select[Any]:
    """The page's rows and one more, which tells whether there is a next page.

    The tenant is named beside the row policy: the planner then takes the index that begins with it.
    """
    of, by = _JOBS.c, _JOBS.c[query.order]
    found = select(*(of[name] for name in JobSummary.model_fields)).where(of.tenant == tenant, by.is_not(None))
    found = found.where(*_fitting(query))
    if query.after is not None:
        value, job = cursors.decode(query.after, query.order)
        found = found.where(tuple_(by, of.id) < tuple_(cursors.moment(value), job))
    return found.order_by(by.desc(), of.id.desc()).limit(query.limit + 1)


async def chosen(
    connection: AsyncConnection, tenant: str, meant: ChosenJobs, states: Collection[JobState], most: int
) -> Sequence[RowMapping]:
    """What a job was submitted as, of jobs in one of these states, oldest first."""
    of = _JOBS.c
    found = select(*of).where(
        of.tenant == tenant, of.state.in_(sorted(states)), of.cancelling.is_(False), of.deleted.is_(False)
    )
    if meant.jobs:
        found = found.where(of.id.in_(meant.jobs))
    if meant.where is not None:
        found = found.where(*_fitting(meant.where))
    found = found.order_by(of.created_at, of.id).limit(most)
    return (await connection.execute(found)).mappings().all()


def _fitting(query: JobFilter) -> list[ColumnElement[bool]]:
    of = _JOBS.c
    rules: list[ColumnElement[bool]] = []
    by = of[query.order if isinstance(query, JobQuery) else "created_at"]
    if query.state:
        rules.append(of.state.in_(query.state))
    if query.document_id is not None:
        rules.append(of.document_id == query.document_id)
    if query.lane is not None:
        rules.append(of.lane == query.lane)
    if query.tag:
        rules.append(of.tags.contains(list(query.tag)))
    if query.since is not None:
        rules.append(by >= query.since)
    if query.until is not None:
        rules.append(by < query.until)
    return rules

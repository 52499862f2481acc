"""The reading side, as role `headrace_api`: every transaction says first for which tenant it reads."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import topics
from schemas.documents import Claim, PageRead
from schemas.job_choice import ChosenJobs
from schemas.jobs import (
    DocumentList,
    DocumentView,
    Failure,
    JobEvent,
    JobList,
    JobQuery,
    JobResult,
    JobState,
    JobView,
    PageProgress,
    PageResult,
    fate,
    needs,
    picture_path,
)
from schemas.plans import DOCUMENT, PLANS
from schemas.ports import Backlog, Submission
from schemas.timeline import JobTimeline, TimelineQuery
from sinks.postgres import document_list, job_list, timeline
from sinks.postgres.engine import answers, as_tenant, connect, transaction

# A partition that was never read has no row: then nobody knows what is still on it.
_ALL_JOBS = {"topic": topics.JOBS.name, "partitions": topics.JOBS.partitions}
_THROUGH = text("""
    SELECT CASE WHEN count(*) >= :partitions THEN min(through) END FROM projection WHERE topic = :topic
""")
_JOB = text("SELECT * FROM jobs WHERE id = :job")
# Asked for every quarter of a second by all who wait: two statements, which cost more in Python than on the server.
_STANDING = text(f"SELECT jobs.*, ({_THROUGH}) AS projected_through FROM jobs WHERE id = :job")  # noqa: S608 constants
# In the order in which a tenant's jobs are released. Only of those that have begun is anything looked up: all others
# may be fifty thousand, and are counted by their index.
_BACKLOG = text("""
    SELECT own.lane, total IS NOT NULL AS counted, greatest(coalesce(total, 1) - own.released, 0) AS pages,
        untouched.jobs + begun.pages AS ahead, untouched.jobs + begun.uncounted AS uncounted
    FROM waiting_jobs AS own
    LEFT JOIN LATERAL (
        SELECT pages_total AS total, whole FROM jobs WHERE id = own.job
    ) AS known ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs FROM waiting_jobs AS before
        WHERE (before.tenant, before.lane, before.released) = (own.tenant, own.lane, 0)
            AND (before.accepted, before.job) < (own.accepted, own.job)
    ) AS untouched
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(greatest(pages_total - before.released, 0)), 0)::bigint AS pages,
            count(*) FILTER (WHERE pages_total IS NULL) AS uncounted
        FROM waiting_jobs AS before LEFT JOIN jobs ON jobs.id = before.job
        WHERE before.tenant = own.tenant AND before.lane = own.lane AND before.released > 0
            AND NOT coalesce(jobs.whole, false) AND (before.accepted, before.job) < (own.accepted, own.job)
    ) AS begun
    WHERE own.job = :job AND NOT (own.released > 0 AND coalesce(whole, false)) ORDER BY own.run DESC LIMIT 1
""")
_PREPARED = text("""
    SELECT max(run) FILTER (WHERE kind = 'prepared') FROM current_parts WHERE job = :job AND part = 0
    HAVING NOT coalesce(bool_or(kind = 'failed' OR starts_with(kind, 'skipped')), false)
""")
_PARTS = text("""
    SELECT part, array_agg(kind) AS kinds, CAST(json_agg(
        json_build_object('page', part, 'step', step, 'code', code, 'detail', detail)
    ) FILTER (WHERE kind = 'failed') AS text) AS failures
    FROM current_parts WHERE job = :job GROUP BY part ORDER BY part
""")
_FAILURES = text("""
    SELECT part AS page, step, code, detail FROM current_parts WHERE job = :job AND kind = 'failed' ORDER BY part
""")
_RESULTS = text("""
    SELECT part, CAST(payload AS text), coalesce(results.plan, jobs.plan) AS plan
    FROM results JOIN current_parts USING (job, part, run) JOIN jobs ON jobs.id = job
    WHERE job = :job AND kind = 'read' ORDER BY part
""")
_PAGE = text("""
    SELECT CAST(payload AS text) AS payload, coalesce(results.plan, jobs.plan) AS plan
    FROM results JOIN current_parts USING (job, part, run) JOIN jobs ON jobs.id = job
    WHERE job = :job AND part = :page AND kind = 'read'
""")
_EVENTS = text("""
    SELECT seq, event, run, nullif(part, 0) AS page, at, CAST(data AS text) AS data FROM job_events
    WHERE job = :job AND seq > :after ORDER BY seq LIMIT :limit
""")
_PICTURE = text("""
    SELECT CAST(payload -> 'image' AS text) FROM results JOIN current_parts USING (job, part, run)
    WHERE job = :job AND part = :page AND kind = 'read'
""")


class PostgresJobReader:
    """The `JobReader` port."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)

    async def ping(self) -> None:
        """Raise `DependencyDown` when PostgreSQL does not answer."""
        await answers(self._engine)

    async def job(self, tenant: str, job: str) -> JobView | None:
        """The job's view, or None where this tenant has no such row; raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            # How far the projection is not after the rows: they may know more than it promises, never less.
            row = (await connection.execute(_STANDING, {"job": job, **_ALL_JOBS})).mappings().first()
            if row is None:
                return None
            parts = (await connection.execute(_PARTS, {"job": job})).all()
        pages = _pages({part.part: part.kinds for part in parts if part.part}, row["pages_total"], row["plan"])
        return JobView(
            **{name: row[name] for name in JobView.model_fields if name in row},
            pages=pages,
            pages_done=sum(page.state == "indexed" for page in pages),
            errors=[Failure(**failure) for part in parts for failure in json.loads(part.failures or "[]")],
        )

    async def backlog(self, tenant: str, job: str) -> Backlog | None:
        """What of the job waits to be released, None where nothing does; raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            row = (await connection.execute(_BACKLOG, {"job": job})).first()
        if row is None or not row.pages:
            return None
        return Backlog(row.lane, row.ahead, row.pages, counted=row.counted, uncounted_ahead=row.uncounted)

    async def result(self, tenant: str, job: str) -> JobResult | None:
        """The pages read so far in their current runs, or None as for `job` and where the document was deleted.

        Raises `DependencyDown`.
        """
        async with as_tenant(self._engine, tenant) as connection:
            row = (await connection.execute(_JOB, {"job": job})).mappings().first()
            if row is None or row["deleted"]:
                return None
            results = (await connection.execute(_RESULTS, {"job": job})).all()
            errors = await _errors(connection, job)
        return JobResult(
            id=row["id"],
            state=row["state"],
            document_id=row["document_id"],
            document_sha256=row["source_sha256"] or "",
            revision=row["revision"],
            plan=row["plan"],
            pages=[_page(row["id"], part, payload, plan) for part, payload, plan in results],
            errors=errors,
        )

    async def picture(self, tenant: str, job: str, page: int) -> Claim | None:
        """The page's picture in its current run, or None where it has none (yet); raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            claim: str | None = await connection.scalar(_PICTURE, {"job": job, "page": page})
        return None if claim is None or claim == "null" else Claim.model_validate_json(claim)

    async def page(self, tenant: str, job: str, page: int) -> PageResult | None:
        """What was read on a page in its current run, or None where nothing was (yet); raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            row = (await connection.execute(_PAGE, {"job": job, "page": page})).first()
        return None if row is None else _page(job, page, row.payload, row.plan)

    async def jobs(self, tenant: str, query: JobQuery) -> JobList:
        """A page of the tenant's jobs; raises `BadRequest` for a foreign cursor, `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            through = await _through(connection)
            found = await job_list.jobs(connection, tenant, query)
        return found.model_copy(update={"projected_through": through})

    async def submission(self, tenant: str, job: str) -> Submission | None:
        """What the job was submitted as, or None as for `job`; raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            row = (await connection.execute(_JOB, {"job": job})).mappings().first()
            prepared: int | None = await connection.scalar(_PREPARED, {"job": job})
        return None if row is None else _submission(row, prepared)

    async def chosen(
        self, tenant: str, chosen: ChosenJobs, states: Collection[JobState], most: int
    ) -> list[tuple[str, Submission]]:
        """The jobs that are meant and stand in one of `states`, oldest first, at most `most`; raises `DependencyDown`.

        Left out are those that are being cancelled already, or whose document was deleted.
        """
        async with as_tenant(self._engine, tenant) as connection:
            rows = await job_list.chosen(connection, tenant, chosen, states, most)
        return [(row["id"], _submission(row, None)) for row in rows]

    async def events(self, tenant: str, job: str, after: int, limit: int) -> list[JobEvent]:
        """The job's events with a `seq` above `after`, in order; raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            rows = (await connection.execute(_EVENTS, {"job": job, "after": after, "limit": limit})).mappings().all()
        return [JobEvent(**{**row, "data": json.loads(row["data"])}) for row in rows]

    async def timeline(self, tenant: str, job: str, query: TimelineQuery) -> JobTimeline:
        """The attempts of the job's steps; raises `BadRequest` for a foreign cursor, `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            return await timeline.timeline(connection, job, query)

    async def document(self, tenant: str, document: str) -> DocumentView | None:
        """A document that was submitted and not deleted since; raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            return await document_list.document(connection, tenant, document)

    async def documents(self, tenant: str, after: str | None, limit: int) -> DocumentList:
        """A page of the tenant's documents; raises `BadRequest` for a foreign cursor, `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            return await document_list.documents(connection, tenant, after, limit)

    async def projected_through(self) -> datetime | None:
        """The low-water time over all partitions of `headrace.jobs`, None while one was never read."""
        async with transaction(self._engine) as connection:
            return await _through(connection)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


def _submission(row: Mapping[Any, Any], prepared: int | None) -> Submission:
    known = row["source_key"] is not None
    source = Claim(key=row["source_key"], sha256=row["source_sha256"], size=row["source_size"]) if known else None
    copied = {name: row[name] for name in ("run", "document_id", "revision", "plan", "lane", "deadline", "deleted")}
    state, filename = JobState(row["state"]), row["filename"] or ""
    return Submission(state=state, source=source, filename=filename, prepared=prepared, **copied)


async def _through(connection: AsyncConnection) -> datetime | None:
    through: datetime | None = await connection.scalar(_THROUGH, _ALL_JOBS)
    return through


async def _errors(connection: AsyncConnection, job: str) -> list[Failure]:
    return [Failure(**row) for row in (await connection.execute(_FAILURES, {"job": job})).mappings()]


def _pages(known: Mapping[int, Sequence[str]], total: int | None, plan: str) -> list[PageProgress]:
    """Every page's progress; of a document not yet counted, those that anything is known of."""
    needed = needs(PLANS.get(plan, DOCUMENT).indexes)
    numbers: Iterable[int] = sorted(known) if total is None else range(1, total + 1)
    return [PageProgress(page=number, state=fate(known.get(number, ()), needed)) for number in numbers]


def _page(job: str, number: int, payload: str, plan: str) -> PageResult:
    read = PageRead.model_validate_json(payload)
    return PageResult(
        page=number,
        width=read.width,
        height=read.height,
        origin=read.origin,
        image=None if read.image is None else picture_path(job, number),
        text=read.text,
        lines=list(read.lines),
        blocks=list(read.blocks),
        layers=list(read.layers),
        plan=plan,
        engine=read.engine,
        times=read.times,
    )

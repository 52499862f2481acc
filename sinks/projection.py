"""A batch of fresh events in the projector's transaction: stored, counted, and what they mean told and announced.

Locks come in one order in every projector: event ids, then documents, then jobs, each sorted. They are taken before
anything is stored, so that of two projectors the later one counts what the earlier one stored.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.documents import DocumentDropped, DocumentPrepared, JobSubmitted, PageRead
from schemas.errors import RecordError
from schemas.jobs import TERMINAL, JobState
from schemas.plans import PLANS
from schemas.work import Task
from sinks import announcements, story
from sinks.conclusions import Verdict, conclude, ended_pages, needed_by
from sinks.fan_in import EndedJob, EndedPage, folded, part_rows, trail_rows
from sinks.postgres import documents, statements
from sinks.postgres.rows import bulk, cleaned, packed


async def project(connection: AsyncConnection, fresh: Sequence[Task]) -> None:
    """Take in events that no batch has stored yet; raises `RecordError` for a record that is none."""
    deletions = [task for task in fresh if isinstance(task.payload, DocumentDropped)]
    tasks = [task for task in fresh if not isinstance(task.payload, DocumentDropped)]
    jobs = await _locked(connection, fresh, tasks)
    for task in tasks:
        if jobs[task.envelope.job].tenant != task.envelope.tenant:
            raise RecordError("the record names another tenant than its job's")
    gone = await _forgotten(connection, deletions, jobs.values())
    deleted = {job.id: job for job in (*gone, *(job for job in jobs.values() if job.dropped))}
    await _store(connection, tasks, deleted)
    needed = needed_by(tasks)
    verdicts = await conclude(connection, jobs.values(), needed)
    ends = [verdict.end for verdict in verdicts.values() if verdict.end is not None]
    pages = await ended_pages(connection, tasks, needed)
    await bulk(connection, statements.TELL, story.lines(tasks, pages, ends))
    await _succeed(connection, jobs, ends)
    rows = (*_conclusions(tasks, jobs, deleted, pages, ends), *_farewells(tasks, deletions, deleted.values(), verdicts))
    await bulk(connection, statements.ANNOUNCE, [row | {"place": place} for place, row in enumerate(rows)])


async def _locked(connection: AsyncConnection, fresh: Sequence[Task], tasks: Sequence[Task]) -> dict[str, Row[Any]]:
    """The rows of the tasks' jobs by id, made or filled in where they were not, locked, as their documents' are."""
    described: dict[str, dict[str, Any]] = {}
    for task in tasks:
        row = _job_row(task)
        if row["id"] not in described or row["source_key"]:
            described[row["id"]] = row
    news = len(tasks) < len(fresh) or any(row["source_key"] for row in described.values())
    found = {} if news else await _rows(connection, described)
    if news or len(found) < len(described):
        await bulk(connection, documents.DESCRIBE, _document_rows(fresh))
        await bulk(connection, statements.DESCRIBE, list(described.values()))
        found = await _rows(connection, described)
    return found


async def _rows(connection: AsyncConnection, jobs: Iterable[str]) -> dict[str, Row[Any]]:
    return {job.id: job for job in await connection.execute(statements.LOCK, {"ids": list(jobs)})}


async def _forgotten(
    connection: AsyncConnection, deletions: Iterable[Task], jobs: Iterable[Row[Any]]
) -> Sequence[Row[Any]]:
    """The jobs that a deletion reached now, also one that was projected before them; their results are gone."""
    named = {(task.envelope.tenant, task.envelope.document) for task in deletions}
    named |= {(job.tenant, job.document_id) for job in jobs if job.dropped and not job.deleted}
    rows = [{"tenant": tenant, "document_id": document} for tenant, document in sorted(named)]
    return await bulk(connection, documents.FORGET, rows)


async def _store(connection: AsyncConnection, tasks: Sequence[Task], deleted: Collection[str]) -> None:
    told = [(task, part_rows(task)) for task in tasks]
    parts = folded(chain.from_iterable(rows for _, rows in told), ("job", "part", "kind"))
    await bulk(connection, statements.STORE_PARTS, parts)
    ways = folded(chain.from_iterable(trail_rows(*each) for each in told), ("job", "part", "run", "kind"))
    await bulk(connection, statements.STORE_TRAILS, ways)
    read = [task for task in tasks if isinstance(task.payload, PageRead) and task.envelope.job not in deleted]
    if results := folded(map(_result_row, read), ("job", "part")):
        columns = {name: [row[name] for row in results] for name in results[0]}
        await connection.execute(statements.STORE_RESULTS, columns)
    prepared = [task for task in tasks if isinstance(task.payload, DocumentPrepared) and task.payload.whole]
    if whole := sorted({task.envelope.job for task in prepared}):
        await connection.execute(statements.WHOLE, {"ids": whole})


async def _succeed(connection: AsyncConnection, jobs: Mapping[str, Row[Any]], ends: Iterable[EndedJob]) -> None:
    """Let searches of these documents find the revision that succeeded."""
    newest: dict[tuple[str, str], int] = {}
    for job in (jobs[end.job] for end in ends if end.state is JobState.SUCCEEDED):
        name = (job.tenant, job.document_id)
        newest[name] = max(job.revision, newest.get(name, 0))
    rows = [{"tenant": tenant, "document_id": name, "revision": newest[tenant, name]} for tenant, name in newest]
    await bulk(connection, documents.SUCCEED, rows)


def _document_rows(fresh: Iterable[Task]) -> list[dict[str, Any]]:
    """The documents that a batch is about: the newest job of each, and how far it is deleted."""
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    dropped: dict[tuple[str, str], int] = {}
    for envelope, payload in ((task.envelope, task.payload) for task in fresh):
        name = (envelope.tenant, envelope.document)
        if isinstance(payload, DocumentDropped):
            dropped[name] = max(envelope.revision, dropped.get(name, 0))
        else:
            newest[name] = max((envelope.revision, envelope.job), newest.get(name, (0, "")))
    rows = []
    for tenant, document in sorted(newest.keys() | dropped.keys()):
        revision, job = newest.get((tenant, document), (0, ""))
        row = {"tenant": tenant, "document_id": document, "revision": revision, "job": job}
        rows.append(row | {"dropped": dropped.get((tenant, document), 0)})
    return rows


def _job_row(task: Task) -> dict[str, Any]:
    envelope, payload = task.envelope, task.payload
    row: dict[str, Any] = {
        "id": envelope.job,
        "tenant": envelope.tenant,
        "document_id": envelope.document,
        "revision": envelope.revision,
        "plan": envelope.plan,
        "pipeline": PLANS[envelope.plan].pipeline,
        "lane": envelope.lane,
        "data_class": envelope.data_class,
        "deadline": envelope.deadline.isoformat() if envelope.deadline else None,
        "source_key": None,
    }
    if not isinstance(payload, JobSubmitted):
        return row
    return row | {
        "filename": payload.filename,
        "metadata": payload.metadata,
        "tags": payload.tags,
        "submitted_by": payload.submitted_by,
        "source_key": payload.source.key,
        "source_sha256": payload.source.sha256,
        "source_size": payload.source.size,
        "created_at": envelope.at.isoformat(),
    }


def _result_row(task: Task) -> dict[str, Any]:
    envelope, payload = task.envelope, task.payload
    assert isinstance(payload, PageRead)
    written = payload.model_dump_json()
    if "\\u0000" in written:  # what `jsonb` refuses
        written = packed([payload.model_dump(mode="json")])[1:-1]
    row = {"job": envelope.job, "part": envelope.part, "tenant": envelope.tenant, "run": envelope.run}
    return row | {
        "ce_id": str(envelope.id), "plan": envelope.plan, "payload": written, "text": cleaned(payload.text),
    }  # fmt: skip


def _conclusions(
    tasks: Iterable[Task],
    jobs: Mapping[str, Row[Any]],
    deleted: Collection[str],
    pages: Iterable[EndedPage],
    ends: Iterable[EndedJob],
) -> Iterator[announcements.Row]:
    """What came to its end, each in the envelope of a task that led to it."""
    envelopes = {task.envelope.job: task.envelope for task in tasks}
    for page in pages:
        yield announcements.page_ended(envelopes[page.job], page, hidden=page.job in deleted)
    for end in ends:
        envelope = envelopes[end.job]
        yield announcements.job_ended(envelope, end, jobs[end.job], hidden=end.job in deleted)
        if end.state is JobState.SUCCEEDED and envelope.revision > 1:
            yield announcements.document_replaced(envelope, end)


def _farewells(
    tasks: Iterable[Task], deletions: Sequence[Task], jobs: Iterable[Row[Any]], verdicts: Mapping[str, Verdict]
) -> Iterator[announcements.Row]:
    """What follows from deletions: those of the deleted `jobs` that go on are stopped, and the bytes of all erased."""
    for task in deletions:
        yield announcements.document_deleted(task.envelope)
    causes = {task.envelope.job: task.envelope for task in tasks}
    orders = {(task.envelope.tenant, task.envelope.document): task.envelope for task in deletions}
    for job in jobs:
        verdict = verdicts.get(job.id)
        state, run = (job.state, job.run) if verdict is None else (verdict.state, verdict.run)
        if state not in TERMINAL:
            yield announcements.cancelled(job.tenant, job.id, run)
        if job.source_key is not None:
            cause = causes.get(job.id) or orders[job.tenant, job.document_id]
            envelope = cause.model_copy(update={"job": job.id, "revision": job.revision, "deadline": None})
            yield announcements.job_erased(envelope, run, job.source_key, ended=state in TERMINAL)

"""The projector: what the log says of jobs, as rows that a caller can read."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import topics
from schemas.documents import JobSubmitted, PageRead
from schemas.failpoints import Failpoints
from schemas.jobs import TERMINAL, JobState, judge, needs, reaches
from schemas.plans import PLANS
from schemas.records import Outgoing, Partition
from schemas.work import Task
from sinks.fan_in import Group, folded, part_row, stopping, tally
from sinks.postgres import statements
from sinks.postgres.engine import answers, connect, transaction
from sinks.postgres.rows import bulk


class Projector:
    """A `Sink` over `headrace.jobs` and `headrace.events`, as role `headrace_sink`.

    Rows are a function of the set of events: their order, their repetition and how batches cut them leave no trace.
    """

    name = "projector"

    def __init__(self, url: str, failpoints: Failpoints) -> None:
        self._engine = connect(url)
        self._failpoints = failpoints

    async def open(self) -> None:
        """Raise `DependencyDown` while PostgreSQL does not answer."""
        await answers(self._engine)

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Store a batch in one transaction; publishes nothing.

        Locks come in one order in every projector: event ids, then jobs, each sorted. The job rows are locked before
        anything is stored, so that of two projectors the later one counts what the earlier one stored.
        """
        async with transaction(self._engine) as connection:
            if fresh := await self._fresh(connection, tasks):
                jobs = await _locked(connection, fresh)
                await _store(connection, fresh)
                await _conclude(connection, jobs, _needed(fresh))
            await bulk(connection, statements.POSITION, _positions(tasks))
            self._failpoints.reach("sink", str(tasks[0].record))
        return ()

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Note that all that these partitions of `headrace.jobs` held before `caught_up_at` (s) is stored."""
        rows = [
            {"topic": topic, "partition": number, "through": caught_up_at}
            for topic, number in partitions
            if topic == topics.JOBS.name
        ]
        async with transaction(self._engine) as connection:
            await bulk(connection, statements.POSITION, rows)

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    async def _fresh(self, connection: AsyncConnection, tasks: Sequence[Task]) -> list[Task]:
        """The tasks whose events no batch has stored yet, each event once."""
        unseen = {task.envelope.id: task for task in tasks}
        new = await connection.scalars(statements.REMEMBER, {"consumer": self.name, "ids": list(unseen)})
        return [unseen[uuid.UUID(str(found))] for found in new]


async def _locked(connection: AsyncConnection, tasks: Sequence[Task]) -> Sequence[RowMapping]:
    """The rows of the tasks' jobs, made where they were missing, locked."""
    described: dict[str, dict[str, Any]] = {}
    for task in tasks:
        row = _job_row(task)
        if row["id"] not in described or row["source_key"]:
            described[row["id"]] = row
    await bulk(connection, statements.DESCRIBE, list(described.values()))
    found = await connection.execute(statements.LOCK, {"ids": list(described)})
    return found.mappings().all()


async def _store(connection: AsyncConnection, tasks: Sequence[Task]) -> None:
    parts = folded(map(part_row, tasks), ("job", "part", "kind"))
    await bulk(connection, statements.STORE_PARTS, parts)
    results = [
        part_row(task) | {"payload": task.payload.model_dump(mode="json"), "text": task.payload.text}
        for task in tasks
        if isinstance(task.payload, PageRead)
    ]
    await bulk(connection, statements.STORE_RESULTS, folded(results, ("job", "part")))


async def _conclude(
    connection: AsyncConnection, jobs: Sequence[RowMapping], needed: Mapping[str, frozenset[str]]
) -> None:
    """Count the parts of locked jobs, set what that means, and put what ended into the outbox."""
    groups: dict[str, list[Group]] = {job["id"]: [] for job in jobs}
    for row in await connection.execute(statements.COUNT, {"ids": list(groups)}):
        group = Group(tuple(row.kinds), row.parts, row.run, row.repeats, row.document, row.pages, row.began, row.ended)
        groups[row.job].append(group)
    changes = [_change(job, groups[job["id"]], needed[job["id"]]) for job in jobs]
    await bulk(connection, statements.ADVANCE, changes)
    ends = [
        _announcement(job, change)
        for job, change in zip(jobs, changes, strict=True)
        if change["moved"] and change["state"] in TERMINAL
    ]
    await bulk(connection, statements.ANNOUNCE, ends)


def _change(job: RowMapping, groups: Sequence[Group], needed: frozenset[str]) -> dict[str, Any]:
    """What becomes of a job row; a terminal state and its run stay unless the verdict is of a higher run."""
    counted = tally(groups, needed)
    was, verdict = JobState(job["state"]), judge(counted)
    moved = reaches(was, verdict, run_rises=counted.runs > tuple(job["runs"]))
    state = verdict if moved else was
    absorbed = was in TERMINAL and not moved
    return {
        "id": job["id"],
        "was": was,
        "state": state,
        "moved": moved,
        "run": job["run"] if absorbed else max(group.run for group in groups),
        "runs": job["runs"] if absorbed else counted.runs,
        "cancelling": state not in TERMINAL and stopping(groups),
        "pages_total": counted.pages,
        "started_at": _iso(min, [group.began for group in groups]),
        "finished_at": _iso(max, [group.ended for group in groups]) if state in TERMINAL else None,
    }


def _announcement(job: RowMapping, change: Mapping[str, Any]) -> dict[str, Any]:
    payload = {
        "job": job["id"],
        "state": change["state"],
        "run": change["run"],
        "document_id": job["document_id"],
        "revision": job["revision"],
        "pages_total": change["pages_total"],
        "finished_at": change["finished_at"],
    }
    event = f"job.{change['state']}"
    return {"job": job["id"], "tenant": job["tenant"], "run": change["run"], "event": event, "payload": payload}


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
        "source_key": payload.source.key,
        "source_sha256": payload.source.sha256,
        "source_size": payload.source.size,
        "created_at": envelope.at.isoformat(),
    }


def _positions(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """How far each partition of `headrace.jobs` is read: only acceptance decides what a caller may not see yet."""
    rows: dict[Partition, dict[str, Any]] = {}
    for record in (task.record for task in tasks if task.record.partition.topic == topics.JOBS.name):
        row = rows.setdefault(record.partition, {"next_offset": 0, "through": 0.0})
        row["next_offset"] = max(row["next_offset"], record.offset + 1)
        row["through"] = max(row["through"], record.at)
    return [{"topic": topic, "partition": number} | row for (topic, number), row in rows.items()]


def _needed(tasks: Iterable[Task]) -> dict[str, frozenset[str]]:
    return {task.envelope.job: needs(PLANS[task.envelope.plan].indexes) for task in tasks}


def _iso(pick: Callable[[list[datetime]], datetime], times: Iterable[datetime | None]) -> str | None:
    known = [time for time in times if time is not None]
    return pick(known).isoformat() if known else None

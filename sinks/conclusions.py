"""What the counted parts of locked jobs mean: how far the jobs are now, and which of their pages and runs ended."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.documents import ChunksIndexed, Claim, PageRead, PartFailed, PartSkipped
from schemas.jobs import TERMINAL, Failure, JobState, fate, judge, needs, reaches
from schemas.plans import PLANS
from schemas.work import Task
from sinks.fan_in import EndedJob, EndedPage, Group, settling, stopping, tally
from sinks.postgres import statements
from sinks.postgres.rows import bulk, packed


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a job stands after a batch; `end` where a run of it ended by that."""

    state: JobState
    run: int
    end: EndedJob | None


_FINAL: dict[str, Literal["succeeded", "failed", "skipped"]] = {
    "indexed": "succeeded",
    "failed": "failed",
    "skipped": "skipped",
}


async def conclude(
    connection: AsyncConnection, jobs: Collection[Row[Any]], needed: Mapping[str, frozenset[str]]
) -> dict[str, Verdict]:
    """Set what the parts of these jobs come to, and say it."""
    groups: dict[str, list[Group]] = {job.id: [] for job in jobs}
    asked = [{"id": job, "settling": settling(needed[job])} for job in groups]
    for row in await connection.execute(statements.COUNT, {"ids": list(groups), "rows": packed(asked)}):
        group = Group(tuple(row.kinds), row.parts, row.run, row.repeats, row.document, row.pages, row.began, row.ended)
        groups[row.job].append(group)
    changes, verdicts = [], {}
    for job in jobs:
        change, end = _change(job, groups[job.id], needed[job.id])
        verdicts[job.id] = Verdict(change["state"], change["run"], end)
        if any(getattr(job, name) != value for name, value in change.items()):
            changes.append(change | {name: _iso(change[name]) for name in ("started_at", "finished_at")})
    await bulk(connection, statements.ADVANCE, changes)
    return verdicts


async def ended_pages(
    connection: AsyncConnection, tasks: Iterable[Task], needed: Mapping[str, frozenset[str]]
) -> list[EndedPage]:
    """The pages that these events say something decisive of and whose fate is final, by job and number."""
    touched = {(task.envelope.job, task.envelope.part) for task in tasks if _decides(task, needed[task.envelope.job])}
    asked = [
        {"job": job, "part": part, "needed": sorted(needed[job]), "settling": settling(needed[job])}
        for job, part in sorted(touched)
    ]
    found = [(row, fate(row.kinds, needed[row.job])) for row in await bulk(connection, statements.PAGES, asked)]
    return [_page(row, _FINAL[end]) for row, end in found if end in _FINAL]


def needed_by(tasks: Iterable[Task]) -> dict[str, frozenset[str]]:
    """The kinds of events that make a page of each job done."""
    return {task.envelope.job: needs(PLANS[task.envelope.plan].indexes) for task in tasks}


def _change(job: Row[Any], groups: Sequence[Group], needed: frozenset[str]) -> tuple[dict[str, Any], EndedJob | None]:
    """What becomes of a job row; a terminal state and its run stay unless the verdict is of a higher run."""
    counted = tally(groups, needed)
    was, verdict = JobState(job.state), judge(counted)
    moved = reaches(was, verdict, run_rises=counted.runs > tuple(job.runs))
    state = verdict if moved else was
    ended = state in TERMINAL
    absorbed = ended and not moved
    ended_at = _known(max, [group.ended for group in groups]) if moved and ended else None
    change = {
        "id": job.id,
        "state": state,
        "run": job.run if absorbed else max(group.run for group in groups),
        "runs": job.runs if absorbed else list(counted.runs),
        "cancelling": not ended and stopping(groups),
        "pages_total": counted.pages,
        "pages_settled": counted.indexed + counted.failed + counted.skipped,
        "started_at": _known(min, [group.began for group in groups]),
        "finished_at": ended_at if moved else job.finished_at,
    }
    if ended_at is None:
        return change, None
    # The run of the page that was reopened last, where one was: each end is announced under a run of its own.
    run = max(group.run for group in groups)
    return change, EndedJob(job.id, job.tenant, run, state, ended_at, counted.pages, counted.indexed)


def _decides(task: Task, needed: frozenset[str]) -> bool:
    if task.envelope.part == 0:
        return False
    match task.payload:
        case ChunksIndexed(index=index):
            return f"indexed:{index}" in needed
        case PageRead() | PartFailed() | PartSkipped():
            return True
    return False


def _page(row: Row[Any], final: Literal["succeeded", "failed", "skipped"]) -> EndedPage:
    error = Failure(page=row.part, step=row.step, code=row.code, detail=row.detail) if final == "failed" else None
    image = None if row.image in (None, "null") else Claim.model_validate_json(row.image)
    return EndedPage(row.job, row.tenant, row.part, row.run, final, row.at, error, row.text, image)


def _known(pick: Callable[[list[datetime]], datetime], times: Iterable[datetime | None]) -> datetime | None:
    known = [time for time in times if time is not None]
    return pick(known) if known else None


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()

"""The attempts of a job's steps, page by page."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas import trail
from schemas.errors import BadRequest
from schemas.jobs import JobState
from schemas.timeline import JobTimeline, PartTimeline, StepAttempt, TimelineQuery
from schemas.trail import Attempt
from sinks.postgres import cursors

_ORDER = "page"
_LAST = 2**31 - 1
_STOPS = frozenset({JobState.CANCELLED, JobState.EXPIRED})
_PAGE = text("""
    SELECT part, run, array_agg(way) AS ways FROM trails
    WHERE job = :job AND (part, run) > (:part, :run) AND (CAST(:page AS integer) IS NULL OR part = :page)
    GROUP BY part, run ORDER BY part, run LIMIT :limit
""")


async def timeline(connection: AsyncConnection, job: str, query: TimelineQuery) -> JobTimeline:
    """A part of a job's timeline; raises `BadRequest` for a cursor of another list."""
    part, run = (-1, 0) if query.after is None else _place(query.after)
    asked = {"job": job, "part": part, "run": run, "page": query.page, "limit": query.limit + 1}
    rows = (await connection.execute(_PAGE, asked)).all()
    shown, following = cursors.cut(rows, query.limit, _ORDER, lambda row: (row.part, str(row.run)))
    told = [PartTimeline(page=row.part or None, run=row.run, attempts=_attempts(row.ways)) for row in shown]
    return JobTimeline(data=told, **following)


def _place(cursor: str) -> tuple[int, int]:
    part, run = cursors.decode(cursor, _ORDER)
    if part > _LAST or not run.isdecimal() or int(run) > _LAST:
        raise BadRequest("the cursor `after` is of no timeline")
    return part, int(run)


def _attempts(ways: Iterable[str]) -> list[StepAttempt]:
    """What the events of a part tell together; where work was done twice, when it was done first."""
    first: dict[tuple[str, int], Attempt] = {}
    for attempt in (attempt for way in ways for attempt in trail.unpacked(way)):
        name = (attempt.step, attempt.number)
        first[name] = min(attempt, first.get(name, attempt), key=lambda one: (one.at, one))
    last = dict(sorted(first))  # of each step the highest number
    ordered = sorted(first.values(), key=lambda one: (one.at, one.number))
    return [_told(attempt, last=attempt.number == last[attempt.step]) for attempt in ordered]


def _told(attempt: Attempt, *, last: bool) -> StepAttempt:
    return StepAttempt(
        step=attempt.step,
        attempt=attempt.number,
        state=_state(attempt, last=last),
        code=attempt.code or None,
        started_at=datetime.fromtimestamp(attempt.at, UTC),
        finished_at=datetime.fromtimestamp(attempt.at + attempt.run, UTC),
        queued_seconds=round(attempt.queued, 3),
        run_seconds=round(attempt.run, 3),
    )


def _state(attempt: Attempt, *, last: bool) -> Literal["succeeded", "retried", "failed", "skipped"]:
    if not attempt.code:
        return "succeeded"
    if attempt.code in _STOPS:
        return "skipped"
    return "failed" if last else "retried"

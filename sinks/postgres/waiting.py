"""The backlog in PostgreSQL: `producers.dispatcher.Backlog` as role `headrace_sink`."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from producers.dispatcher import Release
from producers.ledger import Working
from producers.loads import Counts
from producers.round_robin import Chosen, Offer
from schemas import topics
from schemas.codec import encode, follow
from schemas.documents import JobSubmitted, PartSkipped, SliceReleased
from schemas.envelope import Envelope, Lane
from schemas.records import Outgoing
from sinks.postgres import waiting_statements as sql
from sinks.postgres.engine import transaction
from sinks.postgres.lead import Lead
from sinks.postgres.rows import bulk

STEP = "dispatcher"
_LANES: tuple[Lane, ...] = ("interactive", "bulk")


class WaitingTables:
    """`Backlog` over `waiting_*` and `released_jobs`. `allowance` as in `producers.lanes.Lanes`.

    What is decided and forgotten may be lost with the server's last moments: then it is decided once more. So the
    engine may be a lazy one. What no other statement must be seen with is a transaction of its own.
    """

    def __init__(self, engine: AsyncEngine, lead: Lead, allowance: int) -> None:
        self._engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._lead = lead
        self._allowance = allowance

    async def leads(self) -> bool:
        """Whether this process holds the dispatcher's lock."""
        return await self._lead.held()

    async def unconfirmed(self) -> list[Release]:
        """Slices in the order of their jobs, then delayed records in the order in which they are due."""
        async with transaction(self._single) as connection:
            return [*await self._slices(connection), *map(_again, await connection.execute(sql.DUE))]

    async def working(self) -> list[Working]:
        """One row a job and run."""
        async with transaction(self._single) as connection:
            await connection.execute(sql.TIDY)
            return [_working(row) for row in await connection.execute(sql.WORKING)]

    async def offers(self, most: int) -> list[Offer]:
        """Records, which were accepted before, stand before jobs."""
        async with transaction(self._single) as connection:
            records = await connection.execute(sql.RECORDS, {"most": most})
            found = [Offer(row.tenant, row.lane, row.job, 0, pages=1, record=row.id) for row in records]
            return found + [_offer(row) for row in await connection.execute(sql.OFFERS, {"most": most})]

    async def stopped(self) -> list[Release]:
        """Jobs, each with the event that ends its document."""
        async with transaction(self._single) as connection:
            return [_ended(row) for row in await connection.execute(sql.STOPPED)]

    async def decide(self, chosen: Sequence[Chosen]) -> list[Release]:
        """Advance the jobs, and note the slices until they are published."""
        rows = [self._row(taken) for taken in chosen if not taken.offer.record]
        ids = [taken.offer.record for taken in chosen if taken.offer.record]
        async with transaction(self._engine) as connection:
            await bulk(connection, sql.DECIDE, rows)
            slices = await self._slices(connection) if rows else []
            records = await connection.execute(sql.NAMED_RECORDS, {"ids": ids}) if ids else ()
            return [*slices, *map(_again, records)]

    async def forget(self, releases: Sequence[Release]) -> None:
        """Strike out what was published, and what was ended."""
        named: dict[str, list[tuple[str, ...]]] = {"slice": [], "record": [], "job": []}
        for release in releases:
            named[release.name[0]].append(release.name[1:])
        slices = [{"job": job, "run": int(run), "first": int(first)} for job, run, first in named["slice"]]
        jobs = [{"job": job, "run": int(run)} for job, run in named["job"]]
        async with transaction(self._engine) as connection:
            await bulk(connection, sql.FORGET_SLICES, slices)
            await bulk(connection, sql.FORGET_JOBS, jobs)
            if named["record"]:
                await connection.execute(sql.FORGET_RECORDS, {"ids": [name for (name,) in named["record"]]})

    async def next_due(self) -> float | None:
        """By the server's clock, which also says what is due."""
        async with transaction(self._single) as connection:
            found: float | None = await connection.scalar(sql.NEXT_DUE)
            return found

    async def counts(self) -> Counts:
        """Walks all that waits."""
        pages: dict[Lane, dict[str, int]] = {lane: {} for lane in _LANES}
        uncounted: dict[Lane, dict[str, int]] = {lane: {} for lane in _LANES}
        oldest = dict.fromkeys(_LANES, 0.0)
        async with transaction(self._single) as connection:
            for row in await connection.execute(sql.COUNTS):
                pages[row.lane][row.tenant] = row.pages
                uncounted[row.lane] |= {row.tenant: row.uncounted} if row.uncounted else {}
                oldest[row.lane] = max(oldest[row.lane], row.oldest)
        return Counts(pages, oldest, uncounted)

    async def _slices(self, connection: AsyncConnection) -> list[Release]:
        return [_slice(row) for row in await connection.execute(sql.SLICES)]

    def _row(self, taken: Chosen) -> dict[str, Any]:
        """A document's interactive pages beyond the allowance go on in the bulk lane, and stay there."""
        offer = taken.offer
        stays = "bulk" if taken.last >= self._allowance else offer.lane
        named = {"job": offer.job, "run": offer.run, "first": offer.first, "last": taken.last}
        return named | {"lane": taken.lane, "stays": stays}


async def keep(
    connection: AsyncConnection, statement: TextClause, rows: Iterable[dict[str, Any]], **given: Any
) -> None:
    """Store rows that wait."""
    if listed := [row | {"place": place} for place, row in enumerate(rows)]:
        await connection.execute(statement, {"rows": json.dumps(listed), **given})


def _working(row: Row[Any]) -> Working:
    released: dict[Lane, int] = {"interactive": row.interactive, "bulk": row.bulk}
    if row.whole:  # all its pages went on with the first slice, in that slice's lane
        lane: Lane = "interactive" if row.interactive else "bulk"
        released = {**dict.fromkeys(_LANES, 0), lane: row.total}
    return Working(row.job, row.run, row.tenant, released, row.total, row.settled, row.ended)


def _offer(row: Row[Any]) -> Offer:
    pages = None if row.total is None else row.total - row.released
    return Offer(row.tenant, row.lane, row.job, row.run, row.released + 1, pages)


def _slice(row: Row[Any]) -> Release:
    envelope = _envelope(row).model_copy(update={"lane": row.lane})
    submitted = JobSubmitted.model_validate_json(row.value)
    payload = SliceReleased(
        source=submitted.source,
        filename=submitted.filename,
        pipeline=submitted.pipeline,
        first=row.first,
        last=row.last,
    )
    followed = envelope.follow(payload.kind(), STEP, digests=(str(row.first), str(row.last)))
    record = encode(topics.of_lane(topics.PREPARE, row.lane).name, followed, payload)
    return Release(("slice", row.job, str(row.run), str(row.first)), (record,))


def _ended(row: Row[Any]) -> Release:
    event = PartSkipped(step=STEP, reason=row.reason)
    record = follow(topics.EVENTS.name, _envelope(row), STEP, event)
    return Release(("job", row.job, str(row.run)), (record,))


def _again(row: Row[Any]) -> Release:
    headers = tuple((name, value.encode()) for name, value in row.headers)
    return Release(("record", row.id), (Outgoing(row.topic, row.key, row.value, headers, row.spread),))


def _envelope(row: Row[Any]) -> Envelope:
    return Envelope.from_headers((name, value.encode()) for name, value in row.headers)

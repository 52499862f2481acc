"""Dead letters as their tenants may read them, as role `headrace_api`."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Integer,
    LargeBinary,
    Select,
    String,
    Uuid,
    column,
    func,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.dead_letters import (
    Cause,
    CauseList,
    Chosen,
    LetterAction,
    LetterFilter,
    LetterList,
    LetterQuery,
    LetterSummary,
)
from schemas.jobs import JobEvent
from schemas.ports import ChosenLetter, StoredLetter
from sinks.letter_rows import record_of
from sinks.postgres import cursors
from sinks.postgres.engine import as_tenant, connect

_ORDER = "at"
_TYPES: Mapping[str, Any] = {
    "id": Uuid, "at": DateTime(timezone=True), "part": Integer, "run": Integer, "attempt": Integer,
    "partition": Integer, "offset": Integer, "headers": JSONB, "key": LargeBinary, "value": LargeBinary,
}  # fmt: skip
_NAMES = (
    "id", "tenant", "state", "job", "document_id", "part", "run", "plan", "kind", "step", "code", "detail", "cause",
    "attempt", "at", "topic", "partition", "offset", "key", "headers", "value",
)  # fmt: skip
_LETTERS = table("dead_letters", *(column(name, _TYPES.get(name, String)) for name in _NAMES))
_AUDIT = text("""
    SELECT action, by, at, run, reason, CAST(edits AS text) AS edits FROM dead_letter_actions
    WHERE letter = :letter ORDER BY id
""")
_STORY = text("""
    SELECT seq, event, run, nullif(part, 0) AS page, at, CAST(data AS text) AS data FROM job_events
    WHERE job = :job AND part = :part ORDER BY seq
""")


class PostgresLetterReader:
    """The `LetterReader` port."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)

    async def letters(self, tenant: str, query: LetterQuery) -> LetterList:
        """A page of the tenant's letters; raises `BadRequest` for a foreign cursor, `DependencyDown`."""
        found = _shown().where(*_matching(tenant, query))
        if query.state:
            found = found.where(_LETTERS.c.state.in_(query.state))
        if query.after is not None:
            at, last = cursors.decode(query.after, _ORDER)
            found = found.where(
                tuple_(_LETTERS.c.at, _LETTERS.c.id) < tuple_(cursors.moment(at), cursors.identity(last))
            )
        found = found.order_by(_LETTERS.c.at.desc(), _LETTERS.c.id.desc()).limit(query.limit + 1)
        async with as_tenant(self._engine, tenant) as connection:
            rows = (await connection.execute(found)).mappings().all()
        shown, following = cursors.cut(rows, query.limit, _ORDER, _place)
        return LetterList(data=[_summary(dict(row)) for row in shown], **following)

    async def causes(self, tenant: str, where: LetterFilter) -> CauseList:
        """The tenant's open letters by what went wrong; raises `DependencyDown`."""
        of = _LETTERS.c
        newest = func.array_agg(aggregate_order_by(of.id, of.at.desc()))
        detail = func.array_agg(aggregate_order_by(of.detail, of.at.desc()))
        found = (
            select(
                of.cause, of.step, of.code, detail.label("details"), func.count().label("letters"),
                func.min(of.at).label("first"), func.max(of.at).label("last"), newest.label("ids"),
            )
            .where(*_matching(tenant, where), of.state == "open")
            .group_by(of.cause, of.step, of.code)
            .order_by(func.count().desc(), func.max(of.at).desc())
            .limit(100)
        )  # fmt: skip
        async with as_tenant(self._engine, tenant) as connection:
            rows = (await connection.execute(found)).mappings().all()
        return CauseList(data=[Cause(**row, detail=row["details"][0], example=row["ids"][0]) for row in rows])

    async def letter(self, tenant: str, letter: uuid.UUID) -> StoredLetter | None:
        """One letter whole, or None where this tenant has no such; raises `DependencyDown`."""
        async with as_tenant(self._engine, tenant) as connection:
            found = select(_LETTERS).where(_LETTERS.c.tenant == tenant, _LETTERS.c.id == letter)
            row = (await connection.execute(found)).mappings().first()
            if row is None:
                return None
            audit = (await connection.execute(_AUDIT, {"letter": letter})).mappings().all()
            story = await _story(connection, row["job"], row["part"])
        return StoredLetter(
            summary=_summary(dict(row)),
            record=record_of(dict(row)),
            story=story,
            audit=[LetterAction(**{**action, "edits": json.loads(action["edits"])}) for action in audit],
        )

    async def chosen(self, tenant: str, chosen: Chosen, most: int) -> list[ChosenLetter]:
        """The tenant's letters that are meant, oldest first, at most `most`: named ones in any state, else open ones.

        Raises `DependencyDown`.
        """
        of = _LETTERS.c
        found = select(of.id, of.plan, of.kind, of.state).where(*_matching(tenant, chosen.where or LetterFilter()))
        found = found.where(of.id.in_(chosen.letters) if chosen.letters else of.state == "open")
        async with as_tenant(self._engine, tenant) as connection:
            rows = (await connection.execute(found.order_by(of.at, of.id).limit(most))).all()
        return [ChosenLetter(row.id, row.plan, row.kind, row.state) for row in rows]

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


def _shown() -> Select[Any]:
    return select(*(item for item in _LETTERS.c if item.name not in ("key", "headers", "value")))


def _matching(tenant: str, where: LetterFilter) -> list[ColumnElement[bool]]:
    """The tenant is named beside the row policy: the planner then takes the index that begins with it."""
    of = _LETTERS.c
    named = {name: getattr(where, name) for name in ("job", "step", "code", "cause")}
    rules = [of.tenant == tenant, *(of[name] == value for name, value in named.items() if value is not None)]
    if where.since is not None:
        rules.append(of.at >= where.since)
    if where.until is not None:
        rules.append(of.at < where.until)
    return rules


def _place(row: Mapping[Any, Any]) -> tuple[int, str]:
    return cursors.micros(row["at"]), str(row["id"])


def _summary(row: Mapping[str, Any]) -> LetterSummary:
    position = f"{row['topic']}[{row['partition']}]@{row['offset']}"
    own = {name: row[name] for name in LetterSummary.model_fields if name in row}
    return LetterSummary(**own, page=row["part"], position=position)


async def _story(connection: AsyncConnection, job: str, part: int) -> Sequence[JobEvent]:
    rows = (await connection.execute(_STORY, {"job": job, "part": part})).mappings()
    return [JobEvent(**{**row, "data": json.loads(row["data"])}) for row in rows]

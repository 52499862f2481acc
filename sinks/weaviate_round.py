"""Weaviate against PostgreSQL, tenant by tenant in the order of ids: what is missing is put back, what is surplus goes.

pgvector's rows are the truth: they were written in one transaction with the fence. Both sides are read in windows of
ids, so that memory stays small; what differs is compared again under the fence, where no writer of these documents is
at work, and only what no record on its way will put right is touched.

An object that is there and that no search finds is missing as well: Weaviate's graph of vectors has a log of its own,
of which a kill -9 may cost the end.
"""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from weaviate.exceptions import WeaviateBaseError

from schemas.settings import Settings
from sinks.index_fence import exclude_writers
from sinks.index_pages import Page, Passage
from sinks.postgres.engine import transaction
from sinks.postgres.rows import bulk
from sinks.postgres.vectors import connect_vectors
from sinks.weaviate_client import WeaviateConnection, absent, bounded
from sinks.weaviate_objects import Collection, anew, erase, findable, object_of, proved, store

WINDOW = 500
"""Ids of one side that are compared at once."""
SETTLED_SECONDS = 60.0
"""How long after a job's end its pages count as those that nobody is about to write."""
_TOLD = ["document_id", "revision", "job", "run", "page"]
_CALLS = 4

_USED = text("SELECT EXISTS (SELECT FROM indexed_pages WHERE index = 'weaviate')")
_TENANT = text("SELECT tenant FROM chunks WHERE tenant > :after ORDER BY tenant LIMIT 1")
_WINDOW = text("""
    SELECT id, document_id, job, run FROM chunks WHERE tenant = :tenant AND id > :after ORDER BY id LIMIT :count
""")

# Those that Weaviate ought to hold: its writer had the page, or the job ended so long ago that it will not come.
_OUGHT = text("""
    SELECT id, chunks.tenant, chunks.document_id, revision, job, run, page, plan, digest, image_width, image_height,
        chunk, text, language, box, CAST(boxes AS text) AS boxes, embedding
    FROM chunks
    LEFT JOIN index_drops ON index = 'weaviate' AND index_drops.tenant = chunks.tenant
        AND index_drops.document_id = chunks.document_id
    WHERE chunks.tenant = :tenant AND chunks.id = ANY(CAST(:ids AS uuid[]))
        AND chunks.revision > coalesce(dropped, 0)
        AND (EXISTS (
            SELECT FROM indexed_pages AS page WHERE page.index = 'weaviate' AND page.job = chunks.job
                AND page.page = chunks.page AND page.run >= chunks.run
        ) OR EXISTS (
            SELECT FROM jobs WHERE jobs.id = chunks.job AND finished_at < now() - make_interval(secs => :settled)
        ))
    ORDER BY chunks.id
""")

# Objects without a row that no row is on its way to: dropped, written over by pgvector, of a deleted job, or of a job
# that a database restored from an earlier time knows nothing of, though it has projected what came later.
_SURPLUS = text("""
    SELECT held.id FROM json_to_recordset(CAST(:rows AS json)) AS held (id uuid, document_id text, revision bigint,
        job text, run integer, page integer)
    LEFT JOIN index_drops AS drops ON drops.index = 'weaviate' AND drops.tenant = :tenant
        AND drops.document_id = held.document_id
    LEFT JOIN jobs ON jobs.id = held.job
    LEFT JOIN indexed_pages AS page ON page.index = 'pgvector' AND page.job = held.job AND page.page = held.page
    WHERE NOT EXISTS (SELECT FROM chunks WHERE chunks.id = held.id)
        AND (held.revision <= coalesce(dropped, 0) OR page.run >= held.run OR jobs.deleted OR jobs.id IS NULL
            AND to_timestamp(held.revision / 1000000.0) < (SELECT min(through) FROM projection WHERE topic = :topic)
                - make_interval(secs => :settled))
""")


@dataclass(frozen=True, slots=True)
class _Held:
    """What either side has under an id; `revision`, `page` and whether a search finds it are of objects alone."""

    id: uuid.UUID
    document_id: str
    job: str
    run: int
    revision: int = 0
    page: int = 0
    found: bool = True


class WeaviateRound:
    """One round over every tenant of either side."""

    def __init__(self, settings: Settings) -> None:
        self._engine: AsyncEngine = connect_vectors(settings.postgres.get_secret_value())
        key = settings.weaviate_key.get_secret_value()
        self._weaviate = WeaviateConnection(settings.weaviate, settings.weaviate_grpc, key)

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Make Weaviate hold what it should; nothing where no page was ever written to it. Raises `DependencyDown`."""
        found = Counter(index_missing=0, index_stale=0, index_unfound=0, index_surplus=0)
        async with transaction(self._engine) as connection:
            if not await connection.scalar(_USED):
                return found
        await self._weaviate.create()
        async for tenant in self._tenants():
            passages = (await self._weaviate.passages()).with_tenant(tenant)
            async for documents in self._differing(tenant, passages):
                found += await self._mend(tenant, documents, passages, dry=dry)
        return found

    async def close(self) -> None:
        """Disconnect from both servers."""
        await self._weaviate.close()
        await self._engine.dispose()

    async def _tenants(self) -> AsyncIterator[str]:
        passages = await self._weaviate.passages()
        async with bounded():
            theirs = set(await passages.tenants.get())
        after = ""
        while True:
            async with transaction(self._engine) as connection:
                tenant: str | None = await connection.scalar(_TENANT, {"after": after})
            if tenant is None:
                break
            after = tenant
            theirs.discard(tenant)
            yield tenant
        for tenant in sorted(theirs):
            yield tenant

    async def _differing(self, tenant: str, passages: Collection) -> AsyncIterator[dict[uuid.UUID, str]]:
        """Ids under which the two sides differ, window by window, with their documents."""
        after = uuid.UUID(int=0)
        while True:
            ours, theirs = await self._ours(tenant, after), await _listed(passages, after)
            full = [side[-1].id for side in (ours, theirs) if len(side) == WINDOW]
            through = min(full, default=uuid.UUID(int=2**128 - 1))
            if documents := _unequal(ours, theirs, through):
                yield documents
            if not full:
                return
            after = through

    async def _ours(self, tenant: str, after: uuid.UUID) -> list[_Held]:
        async with transaction(self._engine) as connection:
            asked = {"tenant": tenant, "after": after, "count": WINDOW}
            return [_Held(*row) for row in (await connection.execute(_WINDOW, asked)).all()]

    async def _mend(
        self, tenant: str, documents: Mapping[uuid.UUID, str], passages: Collection, *, dry: bool
    ) -> Counter[str]:
        async with transaction(self._engine) as connection:
            await exclude_writers(connection, "weaviate", tenant, set(documents.values()))
            theirs = {held.id: held for held in await _under(passages, list(documents))}
            asked = {"tenant": tenant, "ids": list(documents), "settled": SETTLED_SECONDS}
            rows = [row for row in (await connection.execute(_OUGHT, asked)).all() if _lacks(theirs.get(row.id), row)]
            surplus = await _surplus(connection, tenant, theirs.values())
            if not dry:
                gate = asyncio.Semaphore(_CALLS)
                if objects := [anew(object_of(*_passage(row))) for row in rows]:
                    await store(gate, passages, objects)
                    await proved(gate, passages, objects)
                for name in surplus:
                    await erase(gate, passages, name)
        wrong = Counter(_fault(theirs.get(row.id)) for row in rows)
        return wrong + Counter(index_surplus=len(surplus))


def _unequal(ours: Iterable[_Held], theirs: Iterable[_Held], through: uuid.UUID) -> dict[uuid.UUID, str]:
    """Ids, with their documents, of all up to `through` that only one side has, or that another run made."""
    mine = {held.id: held for held in ours if held.id <= through}
    other = {held.id: held for held in theirs if held.id <= through}
    names = mine.keys() | other.keys()
    unequal = [name for name in names if _made(mine.get(name)) != _made(other.get(name))]
    return {name: (mine.get(name) or other[name]).document_id for name in unequal}


def _made(held: _Held | None) -> tuple[str, int, bool] | None:
    return None if held is None else (held.job, held.run, held.found)


def _lacks(held: _Held | None, row: Row[Any]) -> bool:
    """Whether no search finds the row's object; one of a later run is right, and the row on its way."""
    return held is None or held.job != row.job or held.run < row.run or (held.run == row.run and not held.found)


def _fault(held: _Held | None) -> str:
    if held is None:
        return "index_missing"
    return "index_stale" if held.found else "index_unfound"


async def _surplus(connection: AsyncConnection, tenant: str, held: Iterable[_Held]) -> list[uuid.UUID]:
    rows = [
        {
            "id": str(item.id),
            "document_id": item.document_id,
            "revision": item.revision,
            "job": item.job,
            "run": item.run,
            "page": item.page,
        }
        for item in held
    ]
    told = _SURPLUS.bindparams(tenant=tenant, settled=SETTLED_SECONDS, topic="headrace.jobs")
    return [row.id for row in await bulk(connection, told, rows)]


async def _listed(passages: Collection, after: uuid.UUID) -> list[_Held]:
    """The next objects by id; none of a tenant that never was."""
    return await _told(passages, passages.query.fetch_objects(limit=WINDOW, after=after, return_properties=_TOLD))


async def _under(passages: Collection, names: Sequence[uuid.UUID]) -> list[_Held]:
    asked = passages.query.fetch_objects_by_ids(names, limit=len(names), return_properties=_TOLD)
    return await _told(passages, asked)


async def _told(passages: Collection, asked: Awaitable[Any]) -> list[_Held]:
    async with bounded():
        try:
            objects = (await asked).objects
        except WeaviateBaseError as error:
            if absent(error):
                return []
            raise
    seen = await findable(passages, [item.uuid for item in objects]) if objects else set()
    return [_held(item, found=item.uuid in seen) for item in objects]


def _held(item: Any, *, found: bool) -> _Held:
    told = item.properties
    return _Held(
        item.uuid, told["document_id"], told["job"], int(told["run"]), int(told["revision"]), int(told["page"]), found
    )


def _passage(row: Row[Any]) -> tuple[Page, Passage]:
    """A row of pgvector as its writer had it."""
    page = Page(
        event="",
        tenant=row.tenant,
        document=row.document_id,
        revision=row.revision,
        job=row.job,
        run=row.run,
        page=row.page,
        plan=row.plan,
        digest=row.digest,
        width=row.image_width,
        height=row.image_height,
        passages=(),
    )
    passage = Passage(
        id=row.id,
        chunk=row.chunk,
        text=row.text,
        language=row.language,
        box=None if row.box is None else tuple(row.box),
        boxes=tuple(map(tuple, json.loads(row.boxes))),
        vector=np.frombuffer(row.embedding, ">f4", offset=4).astype(np.float32),
    )
    return page, passage

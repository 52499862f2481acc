"""The pgvector index: passages with their vectors, each under its deterministic id."""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from schemas import topics
from schemas.codec import follow, index_id
from schemas.documents import ChunksEmbedded, ChunksIndexed
from schemas.errors import ModelOutputInvalid, RecordError
from schemas.failpoints import Failpoints
from schemas.records import Outgoing, Partition
from schemas.work import Task
from sinks.fan_in import folded
from sinks.postgres.engine import answers, connect, transaction
from sinks.postgres.rows import bulk, literal

DIMENSIONS = 384

# Compare-and-set: a page belongs to its highest run, and whoever writes it holds its row until the commit.
_CLAIM = text("""
    INSERT INTO indexed_pages (job, page, tenant, run)
    SELECT job, page, tenant, run
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (job text, page integer, tenant text, run integer)
    ORDER BY job, page
    ON CONFLICT (job, page) DO UPDATE SET run = excluded.run WHERE excluded.run >= indexed_pages.run
    RETURNING job, page
""")

# What an earlier run, or an earlier document of the same id, had on the page and this one has not.
_REPLACE = text("""
    DELETE FROM chunks USING json_to_recordset(CAST(:rows AS json)) AS page (tenant text, document_id text,
        revision integer, page integer, plan text, ids uuid[])
    WHERE chunks.tenant = page.tenant AND chunks.document_id = page.document_id AND chunks.revision = page.revision
        AND chunks.page = page.page AND chunks.plan = page.plan AND chunks.id <> ALL (page.ids)
""")

_STORE = text("""
    INSERT INTO chunks (id, tenant, document_id, revision, job, run, page, chunk, plan, digest, text, language,
        box, boxes, image_width, image_height, embedding)
    SELECT id, tenant, document_id, revision, job, run, page, chunk, plan, digest, text, language,
        box, boxes, image_width, image_height, embedding
    FROM json_to_recordset(CAST(:rows AS json)) AS new (id uuid, tenant text, document_id text, revision integer,
        job text, run integer, page integer, chunk integer, plan text, digest text, text text, language text,
        box double precision[], boxes jsonb, image_width integer, image_height integer, embedding vector)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET job = excluded.job, run = excluded.run, text = excluded.text,
        language = excluded.language, box = excluded.box, boxes = excluded.boxes, image_width = excluded.image_width,
        image_height = excluded.image_height, embedding = excluded.embedding
""")


class PgvectorIndex:
    """A `Sink` over `headrace.vectors`, as role `headrace_sink`."""

    name = "index-pgvector"

    def __init__(self, url: str, failpoints: Failpoints) -> None:
        self._engine = connect(url)
        self._failpoints = failpoints

    async def open(self) -> None:
        """Raise `DependencyDown` while PostgreSQL does not answer."""
        await answers(self._engine)

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        """Store the pages of a batch in one transaction; one `ChunksIndexed` a task, blank pages too.

        Raises `ModelOutputInvalid` for a vector that is no direction in 384 dimensions, `RecordError` for one that is
        no base64, both before anything is sent; `DependencyDown` while PostgreSQL does not answer.
        """
        made = {str(task.envelope.id): _page(task) for task in tasks}
        pages = [made[row["ce_id"]] for row in folded([page.row for page in made.values()], ("job", "page"))]
        async with transaction(self._engine) as connection:
            claimed = {(row.job, row.page) for row in await bulk(connection, _CLAIM, [page.row for page in pages])}
            ours = [page for page in pages if (page.row["job"], page.row["page"]) in claimed]
            await bulk(connection, _REPLACE, [page.row for page in ours])
            await bulk(connection, _STORE, folded([chunk for page in ours for chunk in page.chunks], ("id",)))
            self._failpoints.reach("sink", str(tasks[0].record))
        return [_event(task) for task in tasks]

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """An index has nothing to note."""

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


def _payload(task: Task) -> ChunksEmbedded:
    if not isinstance(task.payload, ChunksEmbedded):
        raise RecordError(f"{task.envelope.kind} holds no vectors")
    return task.payload


def _event(task: Task) -> Outgoing:
    payload = ChunksIndexed(index="pgvector", count=len(_payload(task).chunks))
    return follow(topics.EVENTS.name, task.envelope, PgvectorIndex.name, payload)


@dataclass(frozen=True, slots=True)
class _Page:
    row: dict[str, Any]
    chunks: list[dict[str, Any]]


def _page(task: Task) -> _Page:
    envelope, payload = task.envelope, _payload(task)
    row = {
        "tenant": envelope.tenant,
        "document_id": envelope.document,
        "revision": envelope.revision,
        "job": envelope.job,
        "run": envelope.run,
        "page": envelope.part,
        "plan": envelope.plan,
        "ce_id": str(envelope.id),
    }
    chunks = [
        row
        | {
            "id": str(index_id(envelope, chunk.index, payload.engine.digest)),
            "chunk": chunk.index,
            "digest": payload.engine.digest,
            "text": chunk.text,
            "language": chunk.language,
            "box": chunk.box,
            "boxes": chunk.boxes,
            "image_width": payload.width,
            "image_height": payload.height,
            "embedding": literal(_vector(chunk.vector)),
        }
        for chunk in payload.chunks
    ]
    return _Page(row | {"ids": [chunk["id"] for chunk in chunks]}, chunks)


def _vector(packed: str) -> tuple[float, ...]:
    """Base64 of little-endian float32 as numbers."""
    try:
        raw = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError("a vector of the record is not base64") from error
    if len(raw) != 4 * DIMENSIONS:
        raise ModelOutputInvalid(f"a vector has {len(raw)} bytes, not {DIMENSIONS} float32 numbers")
    vector = struct.unpack(f"<{DIMENSIONS}f", raw)
    if not all(map(math.isfinite, vector)) or not any(vector):
        raise ModelOutputInvalid("a vector is not finite, or zero: it has no direction")
    return vector

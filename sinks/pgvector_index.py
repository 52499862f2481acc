"""The pgvector index: passages with their vectors, each under its deterministic id."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.failpoints import Failpoints
from sinks.fenced_index import FencedIndex
from sinks.index_fence import Admission
from sinks.index_pages import Page, worded
from sinks.postgres.rows import bulk, packed
from sinks.postgres.vectors import connect_vectors, wire

_DROP = text("""
    DELETE FROM chunks USING json_to_recordset(CAST(:rows AS json)) AS gone (tenant text, document_id text,
        through bigint)
    WHERE chunks.tenant = gone.tenant AND chunks.document_id = gone.document_id AND chunks.revision <= gone.through
""")

# What an earlier run, under whichever plan, or an earlier document of the same id had on the page and this one has not.
_REPLACE = text("""
    DELETE FROM chunks USING json_to_recordset(CAST(:rows AS json)) AS page (tenant text, document_id text,
        revision bigint, page integer, ids uuid[])
    WHERE chunks.tenant = page.tenant AND chunks.document_id = page.document_id AND chunks.revision = page.revision
        AND chunks.page = page.page AND chunks.id <> ALL (page.ids)
""")

# The vectors come beside the other columns, as bytes and in the same order.
_STORE = text("""
    INSERT INTO chunks (id, tenant, document_id, revision, job, run, page, chunk, plan, digest, text, language,
        box, boxes, image_width, image_height, words, embedding)
    SELECT id, tenant, document_id, revision, job, run, page, chunk, plan, digest, text, language,
        box, boxes, image_width, image_height, to_tsvector('simple', words), embedding
    FROM ROWS FROM (
        json_to_recordset(CAST(:rows AS json)) AS (id uuid, tenant text, document_id text, revision bigint, job text,
            run integer, page integer, chunk integer, plan text, digest text, text text, language text,
            box double precision[], boxes jsonb, image_width integer, image_height integer,
            words text),
        unnest(CAST(:vectors AS vector[]))
    ) AS new (id, tenant, document_id, revision, job, run, page, chunk, plan, digest, text, language, box, boxes,
        image_width, image_height, words, embedding)
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET job = excluded.job, run = excluded.run, text = excluded.text,
        language = excluded.language, box = excluded.box, boxes = excluded.boxes, image_width = excluded.image_width,
        image_height = excluded.image_height, words = excluded.words, embedding = excluded.embedding
""")


class PgvectorIndex(FencedIndex):
    """The table `chunks`, written in the fence's own transaction."""

    index = "pgvector"
    transactional = True
    name = "index-pgvector"

    def __init__(self, url: str, failpoints: Failpoints) -> None:
        super().__init__(connect_vectors(url), failpoints)

    async def _delete(self, connection: AsyncConnection, admitted: Admission) -> None:
        gone = [
            {"tenant": drop.tenant, "document_id": drop.document, "through": drop.through} for drop in admitted.drops
        ]
        await bulk(connection, _DROP, gone)

    async def _replace(self, connection: AsyncConnection, admitted: Admission) -> None:
        pages = admitted.pages
        held = [_row(page) | {"ids": [str(passage.id) for passage in page.passages]} for page in pages]
        await bulk(connection, _REPLACE, held)
        passages = [(page, passage) for page in pages for passage in page.passages]
        if not passages:
            return
        rows = [
            _row(page)
            | {
                "id": str(passage.id),
                "chunk": passage.chunk,
                "text": passage.text,
                "words": worded(passage.text),
                "language": passage.language,
                "box": passage.box,
                "boxes": passage.boxes,
            }
            for page, passage in passages
        ]
        vectors = [wire(passage.vector) for _, passage in passages]
        await connection.execute(_STORE, {"rows": packed(rows), "vectors": vectors})


def _row(page: Page) -> dict[str, str | int | None]:
    return {
        "tenant": page.tenant,
        "document_id": page.document,
        "revision": page.revision,
        "job": page.job,
        "run": page.run,
        "page": page.page,
        "plan": page.plan,
        "digest": page.digest,
        "image_width": page.width,
        "image_height": page.height,
    }

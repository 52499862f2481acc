"""The reading half of the pgvector index, as role `headrace_api`."""

import json

from sqlalchemy import text

from schemas.jobs import SearchHit
from schemas.ports import Query
from sinks.postgres.engine import answers, connect
from sinks.postgres.reader import reading
from sinks.postgres.rows import literal

# The tenant filter runs after the index: an iterative scan goes on until enough rows have passed it. The plan is made
# for this tenant, as a small one is found faster by its own index.
_SCAN = text("""
    SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.max_scan_tuples', '1000000', true),
        set_config('hnsw.scan_mem_multiplier', '4', true), set_config('plan_cache_mode', 'force_custom_plan', true)
""")
_NEAREST = text("""
    SELECT document_id, revision, job, page, chunk, text, language, box, CAST(boxes AS text) AS boxes,
        image_width, image_height,        1 - (embedding <=> CAST(:vector AS vector)) AS score
    FROM chunks
    WHERE tenant = :tenant AND (CAST(:document AS text) IS NULL OR document_id = :document)
    ORDER BY embedding <=> CAST(:vector AS vector) LIMIT :limit
""")


class PgvectorSearch:
    """The `VectorSearch` port."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)

    async def ping(self) -> None:
        """Raise `DependencyDown` when PostgreSQL does not answer."""
        await answers(self._engine)

    async def search(self, tenant: str, query: Query) -> list[SearchHit]:
        """The nearest passages of one tenant, best first (score: cosine); raises `DependencyDown`."""
        asked = {
            "tenant": tenant,
            "vector": literal(query.vector),
            "document": query.document_id,
            "limit": query.limit,
        }
        async with reading(self._engine, tenant) as connection:
            await connection.execute(_SCAN)
            rows = (await connection.execute(_NEAREST, asked)).mappings().all()
        return [SearchHit.model_validate({**row, "boxes": json.loads(row["boxes"])}) for row in rows]

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

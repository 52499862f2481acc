"""The reading half of the pgvector index, as role `headrace_api`."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, TextClause, text

from schemas.jobs import SearchHit
from schemas.ports import Query
from sinks.index_pages import direction, worded
from sinks.postgres.engine import answers, as_tenant
from sinks.postgres.vectors import connect_vectors, wire

# The tenant filter runs after the index: an iterative scan goes on until enough rows have passed it. The plan is made
# for this tenant and these filters, as few rows are found faster by an index of their own.
_SCAN = text("""
    SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.max_scan_tuples', '1000000', true),
        set_config('hnsw.scan_mem_multiplier', '4', true), set_config('plan_cache_mode', 'force_custom_plan', true)
""")
_TOLD = """chunks.id, document_id, revision, job, page, chunk, text, language, box, CAST(boxes AS text) AS boxes,
        image_width, image_height"""
_WANTED = """tenant = :tenant AND (CAST(:document AS text) IS NULL OR document_id = :document)
        AND (CAST(:language AS text) IS NULL OR language = :language)
        AND (CAST(:page AS integer) IS NULL OR page = :page)"""
_NEAREST = text(f"""
    SELECT {_TOLD}, 1 - (embedding <=> CAST(:vector AS vector)) AS score
    FROM chunks
    WHERE {_WANTED}
    ORDER BY embedding <=> CAST(:vector AS vector) LIMIT :limit
""")  # noqa: S608 - of constants alone

# Any of the words may match. Each is weighed by how few of the matches have it, as in BM25; the rank of one word grows
# with how often a passage has it, less each time, and shrinks with the passage's length.
_WORDED = text(f"""
    WITH asked AS (
        SELECT CAST('''' || replace(replace(lexeme, E'\\\\', E'\\\\\\\\'), '''', '''''') || '''' AS tsquery) AS word
        FROM unnest(to_tsvector('simple', :words))
    ), matching AS MATERIALIZED (
        SELECT id, words FROM chunks
        WHERE {_WANTED} AND words @@ (SELECT CAST(string_agg(CAST(word AS text), ' | ') AS tsquery) FROM asked)
    ), weighed AS (
        SELECT word, ln(1 + (SELECT count(*) FROM matching) / CAST(count(*) AS double precision)) AS weight
        FROM asked JOIN matching ON words @@ word GROUP BY word
    ), ranked AS (
        SELECT id, sum(weight * ts_rank(words, word, 1)) AS score
        FROM matching JOIN weighed ON words @@ word GROUP BY id ORDER BY score DESC, id LIMIT :limit
    )
    SELECT {_TOLD}, score FROM ranked JOIN chunks USING (id) ORDER BY score DESC, id
""")  # noqa: S608 - of constants alone

_DEPTH = 100  # how far down each list hybrid looks: as far as a caller may ask
_K = 60  # of reciprocal rank fusion, as its authors chose it


class PgvectorSearch:
    """The `VectorSearch` port.

    `keyword` finds passages with any of the words (PostgreSQL's configuration `simple`: no stemming, no stop words)
    and sums the words' `ts_rank`, rarer words weighing more; `hybrid` fuses both lists by reciprocal rank with equal
    weights (Cormack, Clarke, Büttcher 2009, k = 60).
    """

    def __init__(self, url: str) -> None:
        self._engine = connect_vectors(url)

    async def ping(self) -> None:
        """Raise `DependencyDown` when PostgreSQL does not answer."""
        await answers(self._engine)

    async def search(self, tenant: str, query: Query) -> list[SearchHit]:
        """The passages of one tenant that fit best, best first.

        Raises `DependencyDown`, and `ModelOutputInvalid` for a query's vector that has no direction.
        """
        asked: dict[str, Any] = {
            "tenant": tenant,
            "document": query.document_id,
            "language": query.language,
            "page": query.page,
            "limit": query.limit if query.mode != "hybrid" else max(query.limit, _DEPTH),
        }
        statements: list[tuple[TextClause, dict[str, Any]]] = []
        if query.mode != "keyword":
            statements.append((_NEAREST, asked | {"vector": wire(direction(query.vector))}))
        if query.mode != "vector":
            statements.append((_WORDED, asked | {"words": worded(query.text)}))
        async with as_tenant(self._engine, tenant) as connection:
            await connection.execute(_SCAN)
            lists = [(await connection.execute(*statement)).mappings().all() for statement in statements]
        ranked = fused(lists)[: query.limit] if query.mode == "hybrid" else lists[0]
        return [SearchHit.model_validate({**row, "boxes": json.loads(row["boxes"])}) for row in ranked]

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()


def fused(lists: Sequence[Sequence[RowMapping]]) -> list[dict[str, Any]]:
    """Rows of several lists, best first, as one: each list gives a row 1 / (60 + its rank from 1) of its `score`."""
    scores: dict[Any, float] = defaultdict(float)
    for found in lists:
        for rank, row in enumerate(found, 1):
            scores[row["id"]] += 1 / (_K + rank)
    rows = {row["id"]: row for found in lists for row in found}
    return [{**rows[name], "score": scores[name]} for name in sorted(scores, key=lambda name: (-scores[name], name))]

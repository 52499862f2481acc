"""The reading half of the Weaviate index."""

from typing import Any

from weaviate.classes.query import Filter, HybridFusion, MetadataQuery
from weaviate.exceptions import WeaviateQueryError

from schemas.jobs import SearchHit
from schemas.ports import Query
from schemas.settings import Settings
from sinks.index_pages import direction
from sinks.postgres.rows import cleaned
from sinks.weaviate_client import WeaviateConnection, absent, bounded

_SECONDS = 5.0
_TOLD = [
    "document_id", "revision", "job", "page", "chunk", "text", "language", "box", "boxes", "image_width",
    "image_height",
]  # fmt: skip


class WeaviateSearch:
    """The `VectorSearch` port.

    `keyword` ranks by BM25 with `k1` and `b` of the collection; `hybrid` by reciprocal rank fusion with equal weights
    (Cormack, Clarke, Büttcher 2009, k = 60), so that it gives what it gives on pgvector.
    """

    def __init__(self, settings: Settings) -> None:
        key = settings.weaviate_key.get_secret_value()
        self._weaviate = WeaviateConnection(settings.weaviate, settings.weaviate_grpc, key)

    async def ping(self) -> None:
        """Raise `DependencyDown` when Weaviate does not answer."""
        await self._weaviate.ping()

    async def search(self, tenant: str, query: Query) -> list[SearchHit]:
        """The passages of one tenant that fit best, best first.

        Raises `DependencyDown`, and `ModelOutputInvalid` for a query's vector that has no direction.
        """
        asked = _asked(query)
        async with bounded(_SECONDS):
            queries = (await self._weaviate.passages()).with_tenant(tenant).query
            call: Any = {"vector": queries.near_vector, "keyword": queries.bm25, "hybrid": queries.hybrid}[query.mode]
            try:
                found = await call(**asked)
            except WeaviateQueryError as error:
                if absent(error):
                    return []  # nobody has written anything for this tenant
                raise
        return [_hit(item.properties, item.metadata) for item in found.objects]

    async def close(self) -> None:
        """Disconnect."""
        await self._weaviate.close()


def _asked(query: Query) -> dict[str, Any]:
    wanted = {"document_id": query.document_id, "language": query.language, "page": query.page}
    given = [Filter.by_property(name).equal(value) for name, value in wanted.items() if value is not None]
    asked: dict[str, Any] = {
        "limit": query.limit,
        "filters": Filter.all_of(given) if given else None,
        "return_properties": _TOLD,
        "return_metadata": MetadataQuery(distance=query.mode == "vector", score=query.mode != "vector"),
    }
    if query.mode == "vector":
        return asked | {"near_vector": direction(query.vector).tolist()}
    asked |= {"query": cleaned(query.text), "query_properties": ["text"]}
    if query.mode == "keyword":
        return asked
    return asked | {"vector": direction(query.vector).tolist(), "alpha": 0.5, "fusion_type": HybridFusion.RANKED}


def _hit(told: dict[str, Any], metadata: Any) -> SearchHit:
    edges = told["boxes"] or []
    return SearchHit(
        **(told | {"box": told["box"] or None, "language": told["language"] or ""})
        | {
            "boxes": [edges[start : start + 4] for start in range(0, len(edges), 4)],
            "score": metadata.score if metadata.distance is None else 1 - metadata.distance,
        }
    )

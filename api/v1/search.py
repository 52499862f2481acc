"""Search by meaning, by words, or by both over everything the caller has submitted."""

from fastapi import APIRouter, Request

from api.auth.doors import Searches
from api.errors import InvalidRequest, declare
from api.json_route import JsonRoute
from api.parts import PartsOf
from api.queries import QueryEmbedder
from schemas.errors import BadRequest, DependencyDown, Overloaded, TooLarge
from schemas.jobs import SearchRequest, SearchResponse
from schemas.ports import Query

router = APIRouter(prefix="/v1/search", tags=["search"], route_class=JsonRoute)


@router.post("", responses=declare(BadRequest, TooLarge, InvalidRequest, Overloaded, DependencyDown))
async def search(request: Request, wanted: SearchRequest, who: Searches, parts: PartsOf) -> SearchResponse:
    """The passages that fit `query` best, best first, each with its document, page and box."""
    queries: QueryEmbedder = request.app.state.queries
    vector = () if wanted.mode == "keyword" else await queries.embed(wanted.query)
    asked = Query(**wanted.model_dump(exclude={"query"}), text=wanted.query, vector=vector)
    hits = await parts.search.search(who.tenant, asked)
    return SearchResponse(query=wanted.query, hits=hits)

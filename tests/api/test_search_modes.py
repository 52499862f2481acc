"""Search by meaning, by words, by both: what reaches the index, and which index it is."""

import httpx2
import pytest

from api.main import search_of
from schemas.ports import Query
from schemas.settings import Settings
from sinks.pgvector_search import PgvectorSearch
from sinks.weaviate_search import WeaviateSearch
from tests.fakes import World


async def test_mode_and_filters_reach_the_index_and_only_meaning_needs_the_model(
    world: World, client: httpx2.AsyncClient
) -> None:
    filters = {"document_id": "inv", "language": "de", "page": 2, "limit": 3}
    for mode in ("vector", "keyword", "hybrid"):
        response = await client.post("/v1/search", json={"query": "Total", "mode": mode, **filters})
        assert response.status_code == 200, response.text
    vectors = [bool(asked.vector) for asked in world.search.asked]
    assert vectors == [True, False, True]
    keyword = Query("Total", mode="keyword", document_id="inv", language="de", page=2, limit=3)
    assert world.search.asked[1] == keyword


async def test_words_are_searched_for_also_while_the_model_is_away(world: World, client: httpx2.AsyncClient) -> None:
    world.embedder.broken = True
    assert (await client.post("/v1/search", json={"query": "Total"})).status_code == 503
    assert (await client.post("/v1/search", json={"query": "Total", "mode": "keyword"})).status_code == 200


@pytest.mark.parametrize("wrong", [{"mode": "fuzzy"}, {"language": "DE"}, {"language": "deu"}, {"page": 0}])
async def test_what_no_index_could_answer_is_refused(client: httpx2.AsyncClient, wrong: dict[str, object]) -> None:
    assert (await client.post("/v1/search", json={"query": "Total", **wrong})).status_code == 422


async def test_the_first_of_the_required_indexes_answers() -> None:
    told = {"weaviate": "http://127.0.0.1:1"}
    for indexes, kind in (("pgvector,weaviate", PgvectorSearch), ("weaviate,pgvector", WeaviateSearch)):
        search = search_of(Settings.model_validate({**told, "indexes": indexes}))
        assert type(search) is kind
        await search.close()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"weaviate": "127.0.0.1:8080"},
        {"weaviate": "ftp://host"},
        {"weaviate": "http://host:50051"},
        {"weaviate": "http://host:8080", "weaviate_grpc": "host:8080"},
    ],
)
def test_an_address_that_cannot_be_one_is_refused_at_the_start_by_its_name(told: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="HEADRACE_WEAVIATE"):
        search_of(Settings.model_validate({**told, "indexes": "weaviate"}))

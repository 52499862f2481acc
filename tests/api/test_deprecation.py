"""A route that will go says so on every answer, in its description, and half a year ahead."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import APIRouter

from api.app import create_app
from api.deprecation import deprecated
from schemas.errors import NotFound
from tests.fakes import World

SINCE, SUNSET = datetime(2026, 11, 22, tzinfo=UTC), datetime(2027, 6, 30, 12, tzinfo=UTC)
router = APIRouter()


@router.get("/v1/old/{name}", **deprecated(since=SINCE, sunset=SUNSET, successor="/v1/models"))
async def old(name: str) -> str:
    """An old way."""
    if name == "missing":
        raise NotFound
    return name


@pytest.mark.parametrize(("name", "status"), [("here", 200), ("missing", 404)])
async def test_every_answer_tells_since_when_until_when_and_what_instead(name: str, status: int) -> None:
    app = create_app(World().parts())
    app.include_router(router)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client:
        answer = await client.get(f"/v1/old/{name}")
        assert answer.status_code == status
        assert answer.headers["deprecation"] == f"@{int(SINCE.timestamp())}"
        assert answer.headers["sunset"] == "Wed, 30 Jun 2027 12:00:00 GMT"
        assert answer.headers["link"] == '</v1/models>; rel="successor-version"'
        stays = await client.get("/livez")
        assert not {"deprecation", "sunset", "link"} & set(stays.headers)


def test_callers_have_half_a_year() -> None:
    with pytest.raises(ValueError, match="180 days"):
        deprecated(since=SINCE, sunset=SINCE + timedelta(days=179), successor="/v1/models")


def test_what_will_go_is_marked_in_the_description_and_nothing_else() -> None:
    paths = create_app(World().parts()).openapi()["paths"]
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation.get("deprecated", False) == ("x-deprecation" in operation), path

"""The API over fakes, and a caller of tenant `demo`."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from api.app import create_app
from tests.fakes import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(create_app(world.parts()))
    headers = {"authorization": "Bearer demo-key"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        yield client

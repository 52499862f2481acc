"""A dispatcher on a database of its own, its log a list, the steps played by the test."""

from collections.abc import AsyncIterator

import pytest

from tests.dispatcher.worlds import World
from tests.sinks.databases import Database, fresh


@pytest.fixture
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    made = World(database)
    await made.open()
    yield made
    await made.close()

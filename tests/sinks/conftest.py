"""One migrated database for the tests of sinks, and what writes and reads it; each test works on jobs of its own."""

from collections.abc import AsyncIterator

import pytest

from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh


@pytest.fixture(scope="session")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def projector(database: Database) -> AsyncIterator[Projector]:
    projector = Projector(database.sink, NO_FAILPOINTS)
    await projector.open()
    yield projector
    await projector.close()


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[PostgresJobReader]:
    reader = PostgresJobReader(database.api)
    yield reader
    await reader.close()

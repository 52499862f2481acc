"""One migrated database, and what writes it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from schemas.work import Task
from sinks.blobs import FolderBlobs
from sinks.dead_letters import DeadLetters
from sinks.postgres.engine import connect, transaction
from sinks.projector import Projector
from sinks.redrives import take
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh


@pytest.fixture(scope="session")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def projector(database: Database) -> AsyncIterator[Projector]:
    projector = Projector(database.sink, NO_FAILPOINTS)
    yield projector
    await projector.close()


@pytest.fixture
def open_letters() -> dict[str, int]:
    """How many letters the sink last said to be open."""
    return {}


@pytest.fixture
async def sink(database: Database, open_letters: dict[str, int]) -> AsyncIterator[DeadLetters]:
    sink = DeadLetters(database.sink, NO_FAILPOINTS, open_letters.update)
    yield sink
    await sink.close()


@pytest.fixture
async def order(database: Database, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Carries out orders as the dispatcher's sink does, in a transaction."""
    engine, blobs = connect(database.sink), FolderBlobs(tmp_path)

    async def carried_out(*tasks: Task) -> None:
        async with transaction(engine) as connection:
            await take(connection, blobs, tasks)

    yield carried_out
    await engine.dispose()

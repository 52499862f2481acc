"""PostgreSQL that refuses: read-only, out of connections, a transaction that gives way. Records wait, none is lost."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from processors.handlers import SinkHandler
from schemas.documents import ChunksIndexed
from schemas.errors import Contended, DependencyDown
from schemas.records import Outgoing, Partition
from schemas.work import Task
from sinks.postgres.engine import connect, transaction
from sinks.projector import Projector
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh, rows
from tests.sinks.events import task


@pytest.fixture(scope="module")
def own(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def engine(own: Database) -> AsyncIterator[AsyncEngine]:
    made = connect(own.admin)
    yield made
    await made.dispose()


async def test_a_read_only_database_holds_a_batch_that_is_stored_once_it_is_not(own: Database, postgres: str) -> None:
    name = own.admin.rpartition("/")[2]
    await rows(postgres, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    projector = Projector(own.sink, NO_FAILPOINTS)
    event = task("job_read_only", 1, ChunksIndexed(index="pgvector", count=1))
    with pytest.raises(DependencyDown, match="25006"):
        await projector.write([event])
    await projector.close()
    await rows(postgres, f'ALTER DATABASE "{name}" RESET ALL')
    projector = Projector(own.sink, NO_FAILPOINTS)
    await projector.write([event])
    await projector.close()


async def test_a_pool_without_a_connection_left_is_a_dependency_that_is_down(own: Database) -> None:
    engine = connect(own.sink)
    engine.pool._timeout = 0.05  # type: ignore[attr-defined]  # five seconds say no more
    held = [await engine.connect() for _ in range(8)]
    with pytest.raises(DependencyDown):
        async with transaction(engine):
            pass
    for connection in held:
        await connection.close()
    async with transaction(engine) as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await engine.dispose()


async def _deadlock(engine: AsyncEngine) -> list[BaseException | None]:
    """Two transactions that lock the same two rows in turn: what each came to."""
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": first})
            await both.wait()
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": second})

    return await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)


async def test_of_two_that_deadlock_one_gives_way_and_says_so(engine: AsyncEngine) -> None:
    lost = [error for error in await _deadlock(engine) if error is not None]
    assert [type(error) for error in lost] == [Contended]
    assert "40P01" in str(lost[0])


class Sink:
    """Has to give way some times."""

    name = "projector"

    def __init__(self, times: int) -> None:
        self.left, self.writes = times, 0

    async def open(self) -> None: ...

    async def write(self, tasks: Sequence[Task]) -> Sequence[Outgoing]:
        self.writes += 1
        self.left -= 1
        if self.left >= 0:
            raise Contended
        return [Outgoing("headrace.events", b"k", b"v")]

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None: ...

    async def close(self) -> None: ...


@pytest.mark.parametrize("times", [1, 3])
async def test_who_gave_way_is_written_again_at_most_three_times(times: int) -> None:
    sink = Sink(times)
    tasks = [task("job_contended", part, ChunksIndexed(index="pgvector", count=1)) for part in (1, 2)]
    answers = await SinkHandler(sink, random.Random(1)).handle(tasks)
    assert [len(answer) for answer in answers if not isinstance(answer, Exception)] == [1, 0]
    assert sink.writes == times + 1


async def test_who_gives_way_for_the_fourth_time_is_held() -> None:
    sink = Sink(9)
    with pytest.raises(DependencyDown):
        await SinkHandler(sink, random.Random(1)).handle([task("job_c", 1, ChunksIndexed(index="pgvector", count=1))])
    assert sink.writes == 4

"""Pages whose passages are gone from pgvector are cut again from the text that was read on them."""

import dataclasses
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from schemas import topics
from schemas.codec import decode
from schemas.documents import PageRead
from schemas.records import Partition, Record
from schemas.work import Task
from sinks.page_round import PageRound
from sinks.pgvector_index import PgvectorIndex
from sinks.postgres.engine import connect
from sinks.projector import Projector
from tests.contract.passages import dropped, plain
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh, rows
from tests.sinks.events import about, new_job, prepared, read, reopened, submitted
from tests.sinks.events import indexed as confirmed


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    """One of its own: a round goes over all jobs."""
    return fresh(postgres)


@pytest.fixture
async def index(database: Database) -> AsyncIterator[PgvectorIndex]:
    index = PgvectorIndex(database.sink, NO_FAILPOINTS)
    await index.open()
    yield index
    await index.close()


def at(task: Task, moment: datetime) -> Task:
    return dataclasses.replace(task, envelope=task.envelope.model_copy(update={"at": moment}))


async def succeeded(projector: Projector, index: PgvectorIndex, *, ago: float = 3600) -> tuple[str, str]:
    """A job of two pages that ended so many seconds ago, the second page blank; with its document."""
    job = new_job()
    document, moment = f"doc-{job}", datetime.now(UTC) - timedelta(seconds=ago)
    events = [submitted(job), prepared(job, 2), *(event for n in (1, 2) for event in (read(job, n), confirmed(job, n)))]
    await index.write([plain("demo", document, n, count, job=job, revision=7) for n, count in ((1, 3), (2, 0))])
    await projector.write([at(task, moment) for task in about(document, 7, *events)])
    return job, document


async def round_of(database: Database, *, dry: bool = False) -> Counter[str]:
    engine = connect(database.sink)
    try:
        return +await PageRound(engine).run(dry=dry)
    finally:
        await engine.dispose()


async def cut_again(database: Database, job: str) -> list[tuple[int, str]]:
    found = await rows(database.admin, "SELECT * FROM outbox WHERE topic = $1 AND key = $2", topics.CHUNK.name, job)
    told = []
    for row in found:
        headers = tuple((name, value.encode()) for name, value in json.loads(row["headers"]))
        record = Record(Partition(row["topic"], 0), 0, 1, row["key"].encode(), row["value"].encode(), headers, 0.0)
        envelope, payload = decode(record)
        assert isinstance(payload, PageRead)
        assert envelope.id == read(job, envelope.part).envelope.id
        told.append((envelope.part, payload.text))
    return told


async def test_a_page_whose_passages_are_gone_is_cut_again_and_nothing_else(
    database: Database, projector: Projector, index: PgvectorIndex
) -> None:
    job, _ = await succeeded(projector, index)
    whole, _ = await succeeded(projector, index)
    assert await round_of(database) == Counter()
    await rows(database.admin, "DELETE FROM chunks WHERE job = $1 AND chunk = 1", job)
    assert await round_of(database, dry=True) == Counter(pages_without_passages=1)
    assert await cut_again(database, job) == []
    for _ in range(2):
        assert await round_of(database) == Counter(pages_without_passages=1)
    assert await cut_again(database, job) == [(1, "page 1 run 1")]
    assert await cut_again(database, whole) == []
    await index.write([plain("demo", f"doc-{job}", 1, 3, job=job, revision=7)])
    assert await round_of(database) == Counter()


async def test_a_page_that_the_index_knows_nothing_of_is_cut_again_a_blank_one_too(
    database: Database, projector: Projector, index: PgvectorIndex
) -> None:
    job, document = await succeeded(projector, index)
    await rows(database.admin, "DELETE FROM chunks WHERE job = $1", job)
    await rows(database.admin, "DELETE FROM indexed_pages WHERE job = $1", job)
    assert await round_of(database) == Counter(pages_without_passages=2)
    assert [part for part, _ in await cut_again(database, job)] == [1, 2]
    await index.write([plain("demo", document, n, count, job=job, revision=7) for n, count in ((1, 3), (2, 0))])
    assert await round_of(database) == Counter()


async def test_a_page_that_was_read_again_and_is_not_yet_said_to_be_indexed_is_on_its_way(
    database: Database, projector: Projector, index: PgvectorIndex
) -> None:
    job, document = await succeeded(projector, index)
    moment = datetime.now(UTC) - timedelta(seconds=1800)
    again = [reopened(job, 1, run=2), read(job, 1, run=2)]
    await projector.write([at(task, moment) for task in about(document, 7, *again)])
    [(run,)] = await rows(database.admin, "SELECT run FROM results WHERE job = $1 AND part = 1", job)
    assert run == 2
    assert await round_of(database) == Counter()


async def test_what_is_not_to_be_there_is_not_missed(
    database: Database, projector: Projector, index: PgvectorIndex
) -> None:
    _, document = await succeeded(projector, index)
    await index.write([dropped("demo", document, 7)])
    fresh, _ = await succeeded(projector, index, ago=1)
    await rows(database.admin, "DELETE FROM chunks WHERE job = $1", fresh)
    assert await round_of(database) == Counter()
    await rows(database.admin, "DELETE FROM results WHERE job = $1", fresh)

"""The outbox as the relay reads it: in an order in which nothing comes late; and what is forgotten."""

import json
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from schemas.errors import DependencyDown
from schemas.ports import Place
from sinks.postgres.outbox import PostgresOutbox
from tests.relay.harness import write
from tests.sinks.databases import Database, rows

BEGIN = Place(0, 0)


@pytest.fixture
async def outbox(database: Database) -> AsyncIterator[PostgresOutbox]:
    outbox = PostgresOutbox(database.sink, 10, days=1)
    assert await outbox.lead(lambda: None)
    yield outbox
    await outbox.close()


@pytest.fixture
async def early(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.sink)
    yield connection
    await connection.close()


@pytest.fixture
async def late(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.sink)
    yield connection
    await connection.close()


async def _ids(outbox: PostgresOutbox, after: Place = BEGIN) -> list[str]:
    return [dict(row.record.headers)["ce_id"].decode() for row in await outbox.read(after)]


async def test_a_row_waits_for_every_older_transaction(
    outbox: PostgresOutbox, early: asyncpg.Connection, late: asyncpg.Connection
) -> None:
    older = early.transaction()
    await older.start()
    first = await write(early, "job_a")
    second = await write(late, "job_a")
    third = await write(early, "job_a")
    assert await _ids(outbox) == []
    assert await outbox.held_back(BEGIN)
    assert (await outbox.backlog(BEGIN))[0] == 1
    await older.commit()
    assert await _ids(outbox) == [first, third, second], "by transaction, then by number"
    last = (await outbox.read(BEGIN))[-1].place
    assert not await outbox.held_back(last)
    assert await outbox.backlog(last) == (0, 0)


async def test_a_rollback_sets_free_what_it_held_back(
    outbox: PostgresOutbox, early: asyncpg.Connection, late: asyncpg.Connection
) -> None:
    older = early.transaction()
    await older.start()
    await write(early, "job_a")
    name = await write(late, "job_a")
    assert await _ids(outbox) == []
    await older.rollback()
    assert await _ids(outbox) == [name]


async def test_transactions_are_in_order_as_numbers(
    outbox: PostgresOutbox, early: asyncpg.Connection, database: Database
) -> None:
    names = [await write(early, "job_a") for _ in range(3)]
    for name, xid in zip(names, ("9", "10", "100"), strict=True):
        await rows(database.admin, "UPDATE outbox SET xid = $2::text::xid8 WHERE ce_id = $1", uuid.UUID(name), xid)
    assert await _ids(outbox) == names
    assert await _ids(outbox, Place(9, 2**62)) == names[1:]


async def test_a_batch_has_at_most_500_rows_and_about_four_mebibytes(
    outbox: PostgresOutbox, early: asyncpg.Connection
) -> None:
    async with early.transaction():
        names = [await write(early, "job_a") for _ in range(501)]
    batch = await outbox.read(BEGIN)
    assert len(batch) == 500
    assert await _ids(outbox, batch[-1].place) == names[500:]
    for _ in range(6):
        await write(early, "job_a", text="x" * 1024 * 1024)
    begin = (await outbox.read(batch[-1].place))[0].place
    assert len(await outbox.read(begin)) == 4


async def test_a_row_becomes_the_record_that_it_says(outbox: PostgresOutbox, early: asyncpg.Connection) -> None:
    name = await write(early, "acme/ü", tenant="acme", topic="headrace.documents", text="Łódź")
    (row,) = await outbox.read(BEGIN)
    assert row.tenant == "acme"
    assert (row.record.topic, row.record.key) == ("headrace.documents", "acme/ü".encode())
    assert row.record.headers == (("ce_id", name.encode()), ("ce_type", b"headrace.Tried.v1"))
    assert json.loads(row.record.value or b"") == {"text": "Łódź"}


async def test_one_leads_and_the_next_only_after_it(outbox: PostgresOutbox, database: Database) -> None:
    other = PostgresOutbox(database.sink, 10, days=1)
    assert await other.lead(lambda: None) is None
    await outbox.close()
    for _ in range(100):
        if await other.lead(lambda: None):
            break
    assert other.leads
    await other.close()
    assert not other.leads


async def test_a_lead_that_is_lost_is_news_and_nothing_can_be_read(database: Database) -> None:
    news: list[str] = []
    outbox = PostgresOutbox(database.sink, 10, days=1)
    await outbox.lead(lambda: news.append("heard"))
    await rows(
        database.admin,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'headrace-relay' AND datname = current_database()",
    )
    with pytest.raises(DependencyDown):
        await outbox.read(BEGIN)
    assert not outbox.leads
    assert news
    await outbox.close()


async def test_only_what_is_relayed_and_old_is_forgotten(
    outbox: PostgresOutbox, early: asyncpg.Connection, database: Database
) -> None:
    for _ in range(4):
        await write(early, "job_a")
    batch = await outbox.read(BEGIN)
    await rows(database.admin, "UPDATE outbox SET at = now() - interval '2 days' WHERE seq <> $1", batch[1].place.seq)
    # An update writes no new transaction into `xid`: the places are the same.
    assert not await outbox.prune(batch[2].place)
    assert [row.place for row in await outbox.read(BEGIN)] == [batch[1].place, batch[3].place]


async def test_old_rows_are_forgotten_a_thousand_at_a_time(outbox: PostgresOutbox, database: Database) -> None:
    await rows(
        database.admin,
        "INSERT INTO outbox (ce_id, tenant, job, topic, key, headers, value, at) SELECT gen_random_uuid(), 'demo', "
        "'job_a', 'headrace.results', 'job_a', '[]', '{}', now() - interval '2 days' FROM generate_series(1, 1500)",
    )
    last = Place(2**62, 0)
    assert await outbox.prune(last)
    assert not await outbox.prune(last)
    assert await outbox.read(BEGIN) == []

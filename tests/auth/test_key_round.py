"""Keys that the log lost are told again, as they stand."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from producers.publisher import KafkaPublisher
from schemas import keys
from schemas.broker import Broker
from schemas.keys import KeyEntry, KeySecret, control_key
from schemas.records import Outgoing
from schemas.topics import CONTROL
from sinks.key_round import KeyRound
from sinks.postgres.engine import connect
from sinks.postgres.keys import PostgresKeyStore
from tests.sinks.databases import Database, fresh, rows


@pytest.fixture
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    engine = connect(database.sink)
    yield engine
    await engine.dispose()


@pytest.fixture
async def made(database: Database) -> AsyncIterator[list[str]]:
    """Two keys, an hour old, of which one was revoked then."""
    store, found = PostgresKeyStore(database.api), []
    for _ in range(2):
        found.append(keys.new_id())
        secret = KeySecret(sha256=keys.sha256(keys.new_key(found[-1])))
        await store.create("demo", found[-1], KeyEntry(tenant="demo", scopes=("search",), secrets=(secret,)), "a", "b")
    await store.revoke("demo", found[1])
    await rows(
        database.admin,
        "UPDATE api_keys SET created_at = now() - interval '1 h', revoked_at = revoked_at - interval '1 h'",
    )
    yield found
    await store.close()


async def _told(broker: Broker, database: Database) -> list[str]:
    """Put the outbox on the log, as the relay would, and empty it; the keys that it told of."""
    found = await rows(database.admin, "DELETE FROM outbox RETURNING xid, seq, key, value")
    publisher = KafkaPublisher(broker)
    for row in sorted(found, key=lambda row: (int(row["xid"]), row["seq"])):
        await publisher.publish([Outgoing(CONTROL.name, row["key"].encode(), row["value"].encode())])
    await publisher.close()
    return sorted({row["key"] for row in found})


async def test_what_the_log_lost_is_told_once(
    broker: Broker, database: Database, engine: AsyncEngine, made: list[str]
) -> None:
    await rows(database.admin, "DELETE FROM outbox")
    keys_round = KeyRound(engine, broker)
    assert (await keys_round.run(dry=True))["keys"] == 2
    assert await _told(broker, database) == []
    assert (await keys_round.run())["keys"] == 2
    assert await _told(broker, database) == sorted(control_key(each).decode() for each in made)
    assert (await keys_round.run())["keys"] == 0


async def test_a_key_that_the_log_still_has_as_good_is_ended_there_as_well(
    broker: Broker, database: Database, engine: AsyncEngine, made: list[str]
) -> None:
    await _told(broker, database)
    assert (await KeyRound(engine, broker).run())["keys"] == 0
    stale = KeyEntry(tenant="demo", scopes=("search",), secrets=(KeySecret(sha256="0" * 64),))
    publisher = KafkaPublisher(broker)
    await publisher.publish([Outgoing(CONTROL.name, control_key(made[1]), stale.model_dump_json().encode())])
    await publisher.close()
    assert (await KeyRound(engine, broker).run())["keys"] == 1
    assert await _told(broker, database) == [control_key(made[1]).decode()]


async def test_what_was_changed_a_moment_ago_is_left_to_the_relay(
    broker: Broker, database: Database, engine: AsyncEngine, made: list[str]
) -> None:
    await rows(database.admin, "DELETE FROM outbox")
    await rows(database.admin, "UPDATE api_keys SET rotated_at = now() WHERE id = $1", made[0])
    assert (await KeyRound(engine, broker).run(dry=True))["keys"] == 1

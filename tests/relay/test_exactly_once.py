"""Each committed row exactly once for whoever reads committed records, whatever is killed."""

import asyncio
from collections.abc import Callable

import pytest

from schemas.broker import Broker
from tests.relay.harness import RelayProcess, by_aiokafka, by_kcat, by_key, committed, eight_writers, relayed
from tests.sinks.databases import Database

Start = Callable[..., RelayProcess]


async def test_every_client_sees_each_row_of_eight_writers_once_in_order_and_none_rolled_back(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    relay().ready()
    await eight_writers(database.sink, 25)
    want = await committed(database)
    assert sum(map(len, want.values())) > 200
    assert by_key(await relayed(broker, database, since)) == want
    assert by_key(await by_aiokafka(broker, since)) == want


@pytest.mark.needs("kcat")
async def test_kcat_sees_the_same(broker: Broker, database: Database, since: dict[int, int], relay: Start) -> None:
    relay()
    await eight_writers(database.sink, 5)
    await relayed(broker, database, since)
    assert by_key(await asyncio.to_thread(by_kcat, broker, since)) == await committed(database)

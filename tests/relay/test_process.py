"""The relay as an operator sees it: tenants' topics, metrics, what it waits for, how it ends."""

import asyncio
import urllib.request
import uuid
from collections.abc import Callable

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local import ports
from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.topics import RESULTS, Topic, tenant_results
from tests.relay.harness import RelayProcess, by_confluent, by_key, committed, relayed, write
from tests.sinks.databases import Database, rows
from tests.support import until

Start = Callable[..., RelayProcess]


@pytest.fixture
def tenant() -> str:
    return f"acme-{uuid.uuid4().hex[:8]}"


def _create(broker: Broker, topic: Topic) -> None:
    admin = AdminClient(librdkafka(broker))
    for future in admin.create_topics([NewTopic(topic.name, topic.partitions, 1)]).values():
        future.result(10)


def _scrape(port: int, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        text: str = answer.read().decode()
        return text


async def test_a_tenant_with_a_topic_of_its_own_has_its_events_on_both(
    broker: Broker, database: Database, since: dict[int, int], relay: Start, tenant: str
) -> None:
    own = tenant_results(tenant)
    _create(broker, own)
    relay(HEADRACE_TENANT_TOPICS=f'{{"{tenant}": "User:acme"}}')
    connection = await asyncpg.connect(database.sink)
    mine = [await write(connection, "job_a", tenant=tenant) for _ in range(3)]
    await write(connection, "job_b", tenant="other")
    await write(connection, "job_a", tenant=tenant, topic="headrace.documents")
    await connection.close()
    assert by_key(await relayed(broker, database, since)) == await committed(database)
    assert by_key(by_confluent(broker, dict.fromkeys(range(own.partitions), 0), own.name)) == {"job_a": mine}


def test_a_tenant_whose_topic_is_missing_stops_the_relay_with_what_to_do(relay: Start, tenant: str) -> None:
    process = relay(HEADRACE_TENANT_TOPICS=f'{{"{tenant}": "User:acme"}}')
    until(process.dead, 30, "the relay ends")
    assert process.end() != 0
    assert f"missing topics headrace.results.{tenant}; run: headrace topics apply" in process.said()


async def test_metrics_tell_what_was_relayed_and_what_waits(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    (port,) = ports.free(1)
    process = relay(HEADRACE_METRICS_PORT=str(port))
    process.ready()
    assert _scrape(port, "/livez") == "ok\n"
    older, newer = await asyncpg.connect(database.sink), await asyncpg.connect(database.sink)
    await write(newer, "job_a")
    await relayed(broker, database, since)
    held = older.transaction()
    await held.start()
    await write(older, "job_a")
    await write(newer, "job_a")
    until(lambda: "headrace_relay_waiting_records 1.0" in _scrape(port), 20, "a row waits")
    age = next(line for line in _scrape(port).splitlines() if line.startswith("headrace_relay_oldest_age_seconds "))
    assert 0 < float(age.split()[1]) < 60
    await held.commit()
    until(lambda: "headrace_relay_waiting_records 0.0" in _scrape(port), 20, "no row waits")
    assert f'headrace_relay_records_total{{topic="{RESULTS.name}"}} 3.0' in _scrape(port)
    for connection in (older, newer):
        await connection.close()


async def test_a_row_that_the_log_refuses_is_waited_for_and_named(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    process = relay()
    connection = await asyncpg.connect(database.sink)
    await write(connection, "job_a")
    topic = f"late-{uuid.uuid4().hex}"
    await write(connection, "job_a", topic=topic)
    await write(connection, "job_a")
    await connection.close()
    until(lambda: f"topic {topic}" in process.said(), 30, "the refusal is said")
    _create(broker, Topic(topic, 1, (), "", ()))
    assert by_key(await relayed(broker, database, since)) == await committed(database)
    assert len(by_confluent(broker, {0: 0}, topic)) == 1


async def test_a_relay_that_is_told_to_stop_ends_at_once_and_another_goes_on(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    first = relay()
    first.ready()
    connection = await asyncpg.connect(database.sink)
    await write(connection, "job_a")
    assert first.end(seconds=5) == 0
    await write(connection, "job_a")
    await connection.close()
    relay("relay-2")
    assert by_key(await relayed(broker, database, since)) == await committed(database)


async def test_a_database_that_is_away_is_waited_for(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    name = database.admin.rpartition("/")[2]
    await rows(database.admin.replace(name, "postgres"), f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    (port,) = ports.free(1)
    process = relay(HEADRACE_METRICS_PORT=str(port))
    until(lambda: "the relay holds: PostgreSQL" in process.said(), 30, "the relay says what it waits for")
    assert 'headrace_step_holding{step="relay"} 1.0' in _scrape(port)
    await rows(database.admin.replace(name, "postgres"), f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await asyncio.to_thread(process.ready)
    connection = await asyncpg.connect(database.sink)
    await write(connection, "job_a")
    await connection.close()
    assert by_key(await relayed(broker, database, since)) == await committed(database)
    assert 'headrace_step_holding{step="relay"} 0.0' in _scrape(port)

"""Each committed row exactly once for whoever reads committed records, whatever is killed, stopped or cut."""

import asyncio
import json
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from producers import provisioning
from schemas.broker import Broker
from tests.relay.harness import (
    RelayProcess,
    by_aiokafka,
    by_confluent,
    by_kcat,
    by_key,
    committed,
    eight_writers,
    ends,
    relayed,
)
from tests.sinks.databases import Database, rows

Start = Callable[..., RelayProcess]
WINDOWS = ("handler", "sink", "commit", "committed")
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headrace-relay'"


async def _write_until(database: Database, done: asyncio.Event) -> None:
    """Eight writers as long as the trouble goes on, and a little longer: what comes after must arrive as well."""
    while not done.is_set():
        await eight_writers(database.sink, 4)
    await eight_writers(database.sink, 2)


async def _dead(process: RelayProcess, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not process.dead():
            await asyncio.sleep(0.02)


async def _seen_alike(broker: Broker, database: Database, since: dict[int, int]) -> None:
    """Each key's rows in the outbox's order, each once, and nothing else, by two clients."""
    want = await committed(database)
    assert by_key(await relayed(broker, database, since)) == want
    assert by_key(await by_aiokafka(broker, since)) == want


async def test_every_client_sees_each_row_of_eight_writers_once_in_order_and_none_rolled_back(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    relay().ready()
    await eight_writers(database.sink, 25)
    assert sum(map(len, (await committed(database)).values())) > 200
    await _seen_alike(broker, database, since)


@pytest.mark.needs("kcat")
async def test_kcat_sees_the_same(broker: Broker, database: Database, since: dict[int, int], relay: Start) -> None:
    relay()
    await eight_writers(database.sink, 5)
    await relayed(broker, database, since)
    assert by_key(await asyncio.to_thread(by_kcat, broker, since)) == await committed(database)


@pytest.mark.long
async def test_a_relay_killed_in_every_window_and_at_random_loses_and_doubles_nothing(
    broker: Broker, database: Database, since: dict[int, int], relay: Start, tmp_path: Path
) -> None:
    dice = random.Random(5)
    order = [*WINDOWS, *WINDOWS]
    dice.shuffle(order)
    done = asyncio.Event()
    writing = asyncio.create_task(_write_until(database, done))
    process = relay()
    for window in order:
        process.arm(window)
        await _dead(process)
        process.start()
    for _ in range(4):
        await asyncio.to_thread(process.ready)
        await asyncio.sleep(dice.uniform(0, 0.3))  # not a wait for anything: the moment is the test's input
        process.end(signal.SIGKILL)
        process.start()
    done.set()
    await writing
    await _seen_alike(broker, database, since)
    told = [json.loads(line) for line in (tmp_path / "kills.ndjson").read_text().splitlines()]
    assert Counter(line["window"] for line in told) == dict.fromkeys(WINDOWS, 2)
    assert all(line["at"].startswith("outbox[") for line in told)


async def test_who_reads_uncommitted_records_sees_the_batches_of_killed_relays_too(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    process = relay()
    process.ready()
    process.arm("commit")
    await eight_writers(database.sink, 1)
    await _dead(process)
    process.start()
    seen = await relayed(broker, database, since)
    assert len(by_confluent(broker, since, isolation="read_uncommitted")) > len(seen)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_second_relay_takes_over_from_one_that_is_killed_or_hangs(
    broker: Broker, database: Database, since: dict[int, int], relay: Start, how: int
) -> None:
    first = relay()
    first.ready()
    second = relay("relay-2")
    second.ready()
    assert "standing by" in second.said()
    done = asyncio.Event()
    writing = asyncio.create_task(_write_until(database, done))
    first.send(how)
    async with asyncio.timeout(15):
        while "relaying from" not in second.said():
            await asyncio.sleep(0.05)
    done.set()
    await writing
    await relayed(broker, database, since)
    if how == signal.SIGSTOP:
        first.send(signal.SIGCONT)
        await _given_up(first)
        await eight_writers(database.sink, 2)
    await _seen_alike(broker, database, since)
    assert second.end() == 0


async def _given_up(process: RelayProcess) -> None:
    """A relay that hung, resumed: in a batch it is fenced and ends; between batches it stands by."""
    async with asyncio.timeout(15):
        while not process.dead() and "standing by" not in process.said():
            await asyncio.sleep(0.05)
    assert process.child is not None
    assert process.child.returncode in (None, 70)


async def test_the_lead_going_to_and_fro_between_two_relays_loses_and_doubles_nothing(
    broker: Broker, database: Database, since: dict[int, int], relay: Start
) -> None:
    both = [relay(), relay("relay-2")]
    done = asyncio.Event()
    writing = asyncio.create_task(_write_until(database, done))
    async with asyncio.timeout(60):
        for times in range(1, 9):
            while sum(process.said().count("relaying from") for process in both) < times:
                for process in both:
                    if process.dead():  # the lock was lost in a batch, and the other has begun
                        assert process.end() == 70
                        process.start()
                await asyncio.sleep(0.02)
            await rows(database.admin, f"{_CUT} AND datname = current_database()")
    done.set()
    await writing
    await _seen_alike(broker, database, since)


async def test_a_log_that_is_paused_or_killed_holds_the_relay_and_nothing_is_lost(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = Kafka(tmp_path_factory.mktemp("own-kafka"), *ports.free(2))
    broker = server.broker
    child = children.start(server)
    process = RelayProcess(broker, database, tmp_path_factory.mktemp("relay"))
    try:
        provisioning.apply(broker, dev=True)
        since = ends(broker)
        process.start()
        process.ready()
        done = asyncio.Event()
        writing = asyncio.create_task(_write_until(database, done))
        child.send_signal(signal.SIGSTOP)
        await _holds(process)
        child.send_signal(signal.SIGCONT)
        await _goes_on(process)
        child.kill()
        child.wait()
        await _holds(process, 2)
        child = children.start(server)
        await _goes_on(process, 2)
        done.set()
        await writing
        await _seen_alike(broker, database, since)
        assert process.end() == 0
    finally:
        if not process.dead():
            process.end(signal.SIGKILL)
        children.end([child])


async def _holds(process: RelayProcess, times: int = 1) -> None:
    await _said(process, "the relay holds: Kafka does not answer", times)


async def _goes_on(process: RelayProcess, times: int = 1) -> None:
    await _said(process, "the relay goes on", times)


async def _said(process: RelayProcess, words: str, times: int) -> None:
    async with asyncio.timeout(40):
        while process.said().count(words) < times:
            await asyncio.sleep(0.05)

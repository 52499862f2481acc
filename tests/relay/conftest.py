"""A database of its own for each test, topics made, relays ended."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from producers import provisioning
from schemas.broker import Broker
from tests.relay.harness import RelayProcess, ends
from tests.sinks.databases import Database, fresh


@pytest.fixture(scope="session")
def broker(kafka: Broker) -> Broker:
    provisioning.apply(kafka, dev=True)
    return kafka


@pytest.fixture
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
def since(broker: Broker) -> dict[int, int]:
    """Where the results topic ended before the test."""
    return ends(broker)


@pytest.fixture
def relay(broker: Broker, database: Database, tmp_path: Path) -> Iterator[Callable[..., RelayProcess]]:
    """Starts relays: `relay("relay-2", HEADRACE_…=…)`."""
    started: list[RelayProcess] = []

    def start(slot: str = "relay-1", **env: str) -> RelayProcess:
        process = RelayProcess(broker, database, tmp_path, slot, **env)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        if not process.dead():
            process.end(9)

"""Real servers for the tests that ask for them, each once a session, in a folder of its own."""

from collections.abc import Iterator

import pytest

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of a real broker without topics."""
    port, controller_port = ports.free(2)
    server = Kafka(tmp_path_factory.mktemp("kafka"), port, controller_port)
    with children.running(server):
        yield server.bootstrap


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The superuser's URL of a real server that has pgvector; `fsync` is off, as no test cuts the power."""
    (port,) = ports.free(1)
    server = Postgres(tmp_path_factory.mktemp("postgres"), port, settings={"fsync": "off"})
    with children.running(server):
        yield server.url

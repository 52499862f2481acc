"""The two secured servers, each once a session."""

from collections.abc import Iterator

import pytest

from tests.cluster import servers
from tests.cluster.servers import Cluster, Database


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with servers.kafka(tmp_path_factory.mktemp("secured-kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with servers.postgres(tmp_path_factory.mktemp("secured-postgres")) as running:
        yield running

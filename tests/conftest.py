"""Real servers for the tests that ask for them, each once a session; tools that tests want are named when missing."""

import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from schemas.broker import Broker
from tests import tools

_FLOW = "tests/flow/"
signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a shell's background job has it ignored, as have its children


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker without topics."""
    port, controller_port = ports.free(2)
    server = Kafka(tmp_path_factory.mktemp("kafka"), port, controller_port)
    with children.running(server):
        yield server.broker


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The superuser's URL of a real server that has pgvector; `fsync` is off, as no test cuts the power."""
    (port,) = ports.free(1)
    server = Postgres(tmp_path_factory.mktemp("postgres"), port, settings={"fsync": "off"})
    with children.running(server):
        yield server.url


@pytest.fixture(scope="session")
def weaviate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real Weaviate without data, as the settings that name it; who asks for it is marked `needs("weaviate")`."""
    with tools.weaviate(tmp_path_factory.mktemp("weaviate")) as settings:
        yield settings


class _ByStack(LoadFileScheduling):
    """Each module's tests go to one process, as do those of all modules that share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _FLOW if file.startswith(_FLOW) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _ByStack(config, log) if config.getvalue("dist") == "loadfile" else None


_MISSING = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MISSING] = Counter()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        tool = str(mark.args[0])
        if tools.missing(tool):
            item.config.stash[_MISSING][tool] += 1
            if os.environ.get("CI") == "true":
                pytest.fail(f"{tool} is missing; run: make ci-tools")
            pytest.skip(f"{tool} is missing")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for tool, count in config.stash[_MISSING].items():
        terminalreporter.line(f"{tool} is missing: it cost {count} tests; run: make ci-tools")

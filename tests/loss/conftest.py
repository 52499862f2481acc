"""Says at the end how much work was done twice in each case: doubles are allowed in work, never in effects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.broker import Broker
from tests.loss.harness import Bench

_DOUBLES = pytest.StashKey[dict[str, tuple[int, int]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_DOUBLES] = {}


@pytest.fixture(params=["faust", "kafka"])
def bench(request: pytest.FixtureRequest, kafka: Broker, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(kafka, tmp_path, request.param)
    yield made
    made.close()
    emitted = made.emitted()
    request.config.stash[_DOUBLES][request.node.name] = (emitted.total(), emitted.total() - len(emitted))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if counted := config.stash[_DOUBLES]:
        terminalreporter.section("loss suite: records on the output topic, of them repeats")
        for name, (total, doubled) in counted.items():
            terminalreporter.line(f"{total:6d} {doubled:5d}  {name}")

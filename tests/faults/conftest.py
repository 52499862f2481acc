"""Shows at the end what was killed, how soon it was back, and what was found."""

from collections.abc import Callable

import pytest

_TOLD = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TOLD] = []


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    return request.config.stash[_TOLD].append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for table in config.stash[_TOLD]:
        terminalreporter.section("fault run: slot, window, recovery, record in flight; then effects")
        for line in table.splitlines():
            terminalreporter.line(line)

"""The API over fakes, as in `tests/api`; a log with topics, as in `tests/relay`."""

from tests.api.conftest import client, world
from tests.relay.conftest import broker

__all__ = ["broker", "client", "world"]

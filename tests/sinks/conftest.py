"""One migrated database for the tests of sinks; each test works on jobs of its own."""

import pytest

from tests.sinks.databases import Database, fresh


@pytest.fixture(scope="session")
def database(postgres: str) -> Database:
    return fresh(postgres)

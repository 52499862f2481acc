"""A database of its own for each test."""

import pytest

from tests.sinks.databases import Database, fresh


@pytest.fixture
def database(postgres: str) -> Database:
    return fresh(postgres)

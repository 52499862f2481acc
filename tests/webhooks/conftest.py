"""A database for each module, without endpoints at the begin of each test."""

import pytest

from tests.sinks.databases import Database, fresh, rows


@pytest.fixture(scope="module")
def migrated(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def database(migrated: Database) -> Database:
    await rows(migrated.admin, "TRUNCATE webhook_endpoints, webhook_messages CASCADE")
    return migrated

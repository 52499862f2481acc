"""What each role may see and do, as that role."""

import asyncpg
import pytest

from schemas.failpoints import Failpoints
from schemas.ports import Query
from sinks.pgvector_index import PgvectorIndex
from sinks.pgvector_search import PgvectorSearch
from sinks.postgres.migrate import migrate
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import events
from tests.sinks.databases import PASSWORDS, Database, rows

TENANT_TABLES = (
    "jobs", "parts", "results", "outbox", "indexed_pages", "chunks", "job_events", "documents", "index_drops",
    "waiting_jobs", "waiting_slices", "waiting_records", "released_jobs", "dead_letters", "dead_letter_actions",
    "api_keys", "webhook_endpoints", "webhook_messages", "webhook_deliveries", "webhook_attempts",
    "idempotency_keys", "trails",
)  # fmt: skip
REMOVABLE = ("webhook_endpoints",)  # its tenant may, the rows of others are none to it
READABLE = ("jobs", "parts", "results", "chunks", "current_parts", "job_events", "documents")


@pytest.fixture
async def job(database: Database) -> str:
    """A job of tenant `demo` with rows in every table."""
    job, none = events.new_job(), Failpoints("x", None)
    projector, index = Projector(database.sink, none), PgvectorIndex(database.sink, none)
    await projector.write([events.submitted(job), events.prepared(job, 1), events.read(job, 1), events.indexed(job, 1)])
    await index.write([events.embedded(job, 1, [events.towards(0.1)])])
    await projector.close()
    await index.close()
    return job


@pytest.mark.parametrize("table", READABLE)
async def test_a_forgotten_tenant_gives_no_row_and_the_right_one_does(database: Database, job: str, table: str) -> None:
    connection = await asyncpg.connect(database.api)
    try:
        assert await connection.fetch(f"SELECT * FROM {table}") == []
        async with connection.transaction():
            await connection.execute("SELECT set_config('headrace.tenant', 'demo', true)")
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") > 0
        assert await connection.fetch(f"SELECT * FROM {table}") == [], "the setting outlived its transaction"
    finally:
        await connection.close()


async def test_a_submission_is_made_as_its_tenant_and_leaves_no_tenant_behind(database: Database) -> None:
    connection = await asyncpg.connect(database.api)
    try:
        for call in (
            "SELECT take_submission('demo', 'k', 'mark', 'job_k', 60, 60)",
            "SELECT submission_given_up('demo', 'k', 'job_k')",
            "SELECT submission_done('demo', 'k', 'job_k', 'an answer')",
        ):
            await connection.execute(call)
            assert await connection.fetchval("SELECT count(*) FROM idempotency_keys") == 0
        await connection.execute("SELECT submission_done('other', 'k', 'job_k', 'another')")
    finally:
        await connection.close()
    [row] = await rows(database.admin, "SELECT tenant, published, answer FROM idempotency_keys WHERE key = 'k'")
    assert tuple(row.values()) == ("demo", True, "an answer")


async def test_one_tenant_never_sees_another_ones_rows(database: Database, job: str) -> None:
    reader, search = PostgresJobReader(database.api), PgvectorSearch(database.api)
    passage = Query("", tuple(events.towards(0.1)), limit=100)
    assert await reader.job("demo", job) is not None
    assert await reader.job("other", job) is None
    assert await reader.result("other", job) is None
    assert job in {hit.job for hit in await search.search("demo", passage)}
    assert await search.search("other", passage) == []
    await reader.close()
    await search.close()


@pytest.mark.parametrize("table", [*TENANT_TABLES, "inbox", "projection", "incarnation"])
async def test_the_api_role_cannot_write(database: Database, job: str, table: str) -> None:
    removes = [] if table in REMOVABLE else [f"DELETE FROM {table}"]
    for statement in (*removes, f"INSERT INTO {table} DEFAULT VALUES", f"TRUNCATE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await rows(database.api, statement)


@pytest.mark.parametrize("table", ["outbox", "inbox", "indexed_pages", "index_drops"])
async def test_the_api_role_cannot_read_what_is_the_sinks_own(database: Database, table: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await rows(database.api, f"SELECT * FROM {table}")


async def test_every_table_with_a_tenant_forces_row_security_on_its_owner_too(database: Database) -> None:
    found = await rows(
        database.admin,
        """
        SELECT relname, relrowsecurity AND relforcerowsecurity AS forced, pg_get_userbyid(relowner) AS owner
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant'
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        """,
    )
    assert {row["relname"] for row in found} == set(TENANT_TABLES)
    assert all(row["forced"] and row["owner"] == "headrace_owner" for row in found)


async def test_no_role_of_ours_can_pass_row_security_by(database: Database) -> None:
    found = await rows(
        database.admin,
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole AS strong, rolcanlogin FROM pg_roles "
        "WHERE rolname LIKE 'headrace_%' ORDER BY rolname",
    )
    assert [tuple(row) for row in found] == [
        ("headrace_api", False, True),
        ("headrace_owner", False, False),
        ("headrace_sink", False, True),
    ]


def test_migrating_again_changes_nothing(database: Database) -> None:
    migrate(database.admin, PASSWORDS)
    migrate(database.admin, {})

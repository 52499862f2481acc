"""API keys in PostgreSQL: whose they are, what is announced of them, and in which order."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import asyncpg
import pytest

from schemas import keys
from schemas.errors import BadRequest, KeyEnded, TooManyKeys
from schemas.keys import KeyEntry, KeySecret
from schemas.paging import PageQuery
from sinks.postgres.keys import PostgresKeyStore
from tests.sinks.databases import Database, fresh, rows


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresKeyStore]:
    store = PostgresKeyStore(database.api)
    yield store
    await store.close()


async def _made(store: PostgresKeyStore, tenant: str = "demo") -> tuple[str, str]:
    """A new key: its id, and itself."""
    identifier = keys.new_id()
    key = keys.new_key(identifier)
    entry = KeyEntry(tenant=tenant, scopes=("jobs:read",), secrets=(KeySecret(sha256=keys.sha256(key)),))
    await store.create(tenant, identifier, entry, "a name", "test")
    return identifier, key


async def _announced(database: Database) -> dict[str, list[KeyEntry]]:
    """What the relay would put on the log, in its order, by key."""
    found = await rows(database.sink, "SELECT key, topic, value FROM outbox ORDER BY xid, seq")
    assert {row["topic"] for row in found} <= {"headrace.control"}
    told: dict[str, list[KeyEntry]] = {}
    for row in found:
        if row["value"] != "{}":
            told.setdefault(row["key"], []).append(KeyEntry.model_validate_json(row["value"]))
    return told


async def test_no_tenant_sees_or_changes_the_key_of_another(store: PostgresKeyStore) -> None:
    identifier, _ = await _made(store)
    assert identifier in [key.id for key in (await store.keys("demo", PageQuery())).data]
    assert identifier not in [key.id for key in (await store.keys("other", PageQuery())).data]
    assert await store.key("other", identifier) is None
    assert await store.rotate("other", identifier, "0" * 64, timedelta(0)) is None
    assert await store.revoke("other", identifier) is None
    await store.used("other", {identifier: datetime.now(UTC)})
    untouched = await store.key("demo", identifier)
    assert untouched is not None
    assert (untouched.state, untouched.last_used_at) == ("active", None)


async def test_keys_are_listed_page_by_page_newest_first(store: PostgresKeyStore) -> None:
    made = [(await _made(store, "pages"))[0] for _ in range(5)]
    seen: list[str] = []
    query = PageQuery(limit=2)
    while True:
        page = await store.keys("pages", query)
        seen += [key.id for key in page.data]
        assert page.has_more == (page.next is not None)
        if page.next is None:
            break
        query = PageQuery(limit=2, after=page.next)
    assert seen == made[::-1]
    with pytest.raises(BadRequest):
        await store.keys("pages", PageQuery(after="elsewhere"))


async def test_a_tenant_has_so_many_keys_that_stand_and_no_more(store: PostgresKeyStore, database: Database) -> None:
    last, _ = await _made(store, "many")
    columns = "id, tenant, name, scopes, secrets, created_by, expires_at, revoked_at"
    filled = f"INSERT INTO api_keys ({columns}) SELECT lpad(n::text, 16, 'a'), 'many', '', '{{}}', '[]', ''"
    standing, ended = f"{filled}, NULL, NULL", f"{filled}, now() - interval '1 day', NULL"
    await rows(database.admin, f"{standing} FROM generate_series(1, {keys.MOST_KEYS - 1}) AS n")
    await rows(database.admin, f"{ended} FROM generate_series(5001, 5003) AS n")
    with pytest.raises(TooManyKeys):
        await _made(store, "many")
    await _made(store, "few")
    await store.revoke("many", last)
    await _made(store, "many")


async def test_what_is_announced_is_what_stands_and_holds_no_secret(
    store: PostgresKeyStore, database: Database
) -> None:
    identifier, key = await _made(store)
    fresh = keys.new_key(identifier)
    await store.rotate("demo", identifier, keys.sha256(fresh), timedelta(hours=1))
    now = datetime.now(UTC)
    first, rotated = (await _announced(database))[f"key:{identifier}"]
    assert (first.opens(key, now), first.opens(fresh, now)) == (True, False)
    assert (rotated.opens(key, now), rotated.opens(fresh, now)) == (True, True)
    assert (rotated.opens(key, now + timedelta(hours=2)), rotated.opens(fresh, now + timedelta(hours=2))) == (
        False,
        True,
    )
    await store.revoke("demo", identifier)
    assert not (await _announced(database))[f"key:{identifier}"][-1].stands(now)
    kept = str(await rows(database.sink, "SELECT * FROM api_keys"))
    assert not any(secret.rpartition("_")[2] in kept for secret in (key, fresh))


async def test_without_an_overlap_the_old_secret_ends_at_once_and_a_third_is_never_good(
    store: PostgresKeyStore, database: Database
) -> None:
    identifier, first = await _made(store)
    later = [keys.new_key(identifier) for _ in range(3)]
    for key in later[:2]:
        await store.rotate("demo", identifier, keys.sha256(key), timedelta(hours=1))
    now = datetime.now(UTC)
    entry = (await _announced(database))[f"key:{identifier}"][-1]
    assert [entry.opens(key, now) for key in (first, *later)] == [False, True, True, False]
    await store.rotate("demo", identifier, keys.sha256(later[2]), timedelta(0))
    entry = (await _announced(database))[f"key:{identifier}"][-1]
    assert [entry.opens(key, now) for key in (first, *later)] == [False, False, False, True]


async def test_a_key_that_ended_gets_no_new_secret(store: PostgresKeyStore) -> None:
    identifier, _ = await _made(store)
    ended = await store.revoke("demo", identifier)
    again = await store.revoke("demo", identifier)
    assert ended is not None
    assert again is not None
    assert (again.state, again.revoked_at) == ("revoked", ended.revoked_at)
    with pytest.raises(KeyEnded):
        await store.rotate("demo", identifier, "0" * 64, timedelta(0))


async def test_of_changes_at_once_the_last_one_made_is_the_last_one_told(
    store: PostgresKeyStore, database: Database
) -> None:
    """A transaction that waited for another has the older number, unless it waited before it had one."""
    identifier, _ = await _made(store)
    secrets = [keys.sha256(keys.new_key(identifier)) for _ in range(24)]
    changes = [store.rotate("demo", identifier, secret, timedelta(hours=1)) for secret in secrets]
    await asyncio.gather(*changes)
    told = (await _announced(database))[f"key:{identifier}"]
    assert len(told) == 1 + len(secrets)
    assert all(later.secrets[1].sha256 == before.secrets[0].sha256 for before, later in pairwise(told))
    (kept,) = await rows(database.sink, "SELECT secrets FROM api_keys WHERE id = $1", identifier)
    assert [each["sha256"] for each in json.loads(kept["secrets"])] == [each.sha256 for each in told[-1].secrets]


async def test_when_a_key_was_last_used_only_moves_on(store: PostgresKeyStore) -> None:
    identifier, _ = await _made(store)
    now = datetime.now(UTC)
    for at in (now, now - timedelta(hours=1)):
        await store.used("demo", {identifier: at})
    found = await store.key("demo", identifier)
    assert found is not None
    assert found.last_used_at == now


_PUT = """
    INSERT INTO outbox (ce_id, tenant, job, topic, key, headers, value)
    VALUES (gen_random_uuid(), $1, '', $2, $3, '[]', '{}')
"""


@pytest.mark.parametrize(
    ("tenant", "topic", "key"),
    [
        ("demo", "headrace.control", "step:ocr"),
        ("demo", "headrace.control", "key:aaaaaaaaaaaaaaaa"),
        ("demo", "headrace.results", "key:OWN"),
        ("other", "headrace.control", "key:OWN"),
        ("demo", "headrace.control", "key:FOREIGN"),
    ],
)
async def test_the_api_role_can_announce_nothing_but_keys_of_its_tenant(
    store: PostgresKeyStore, database: Database, tenant: str, topic: str, key: str
) -> None:
    own, foreign = [(await _made(store, owner))[0] for owner in ("demo", "other")]
    key = key.replace("OWN", own).replace("FOREIGN", foreign)
    connection = await asyncpg.connect(database.api)
    try:
        await connection.execute("SELECT set_config('headrace.tenant', 'demo', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(_PUT, tenant, topic, key)
        await connection.execute(_PUT, "demo", "headrace.control", f"key:{own}")
    finally:
        await connection.close()


@pytest.mark.parametrize("column", ["tenant", "scopes", "name", "expires_at", "id"])
async def test_what_a_key_may_do_is_never_changed(store: PostgresKeyStore, database: Database, column: str) -> None:
    await _made(store)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await rows(database.api, f"UPDATE api_keys SET {column} = {column}")

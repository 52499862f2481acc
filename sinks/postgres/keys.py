"""API keys in PostgreSQL, as role `headrace_api`; each change is told by the outbox, in the transaction that made it.

PostgreSQL is the truth, and no request asks it: every API process has what stands on `headrace.control`.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.errors import KeyEnded, TooManyKeys
from schemas.keys import MOST_KEYS, MOST_SECRETS, ApiKey, KeyEntry, KeyList, KeySecret
from schemas.paging import PageQuery
from sinks.postgres import cursors
from sinks.postgres.engine import as_tenant, connect
from sinks.postgres.key_rows import LOCK, ONE, announce, entry_of, limits_of

_ORDER = "created_at"
_PAGE = text("""
    SELECT * FROM api_keys
    WHERE CAST(:at AS timestamptz) IS NULL OR (created_at, id) < (:at, :id)
    ORDER BY created_at DESC, id DESC LIMIT :limit
""")
# Who makes keys of one tenant does so one after the other: else all of them would count before any inserts.
_MAKER = text("SELECT pg_advisory_xact_lock(hashtextextended('headrace.keys-of:' || :tenant, 0))")
_COUNT = text("""
    SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")
_CREATE = text("""
    INSERT INTO api_keys (id, tenant, name, scopes, secrets, created_by, expires_at, limits)
    VALUES (:id, :tenant, :name, :scopes, CAST(:secrets AS jsonb), :by, :expires, CAST(:limits AS jsonb)) RETURNING *
""")
_ROTATE = text("""
    UPDATE api_keys SET secrets = CAST(:secrets AS jsonb), rotated_at = now() WHERE id = :id RETURNING *
""")
_REVOKE = text("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = :id RETURNING *")
_USED = text("""
    UPDATE api_keys SET last_used_at = seen.at
    FROM json_to_recordset(CAST(:rows AS json)) AS seen (id text, at timestamptz)
    WHERE api_keys.id = seen.id AND (last_used_at IS NULL OR last_used_at < seen.at)
""")


class PostgresKeyStore:
    """`ports.KeyStore`."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)

    async def create(self, tenant: str, identifier: str, key: KeyEntry, name: str, by: str) -> ApiKey:
        """Insert and announce."""
        values = {
            "id": identifier,
            "tenant": tenant,
            "name": name,
            "scopes": list(key.scopes),
            "secrets": _json(key.secrets),
            "by": by,
            "expires": key.expires_at,
            "limits": None if key.limits is None else key.limits.model_dump_json(exclude_none=True),
        }
        async with as_tenant(self._engine, tenant) as connection:
            await connection.execute(_MAKER, {"tenant": tenant})
            if int(await connection.scalar(_COUNT) or 0) >= MOST_KEYS:
                raise TooManyKeys
            row = (await connection.execute(_CREATE, values)).one()
            await announce(connection, row)
        return _view(row)

    async def keys(self, tenant: str, query: PageQuery) -> KeyList:
        """A page of a tenant's."""
        asked: dict[str, Any] = {"at": None, "id": None, "limit": query.limit + 1}
        if query.after is not None:
            at, asked["id"] = cursors.decode(query.after, _ORDER)
            asked["at"] = cursors.moment(at)
        async with as_tenant(self._engine, tenant) as connection:
            rows = (await connection.execute(_PAGE, asked)).all()
        shown, following = cursors.cut(rows, query.limit, _ORDER, lambda row: (cursors.micros(row.created_at), row.id))
        return KeyList(data=[_view(row) for row in shown], **following)

    async def key(self, tenant: str, identifier: str) -> ApiKey | None:
        """One of a tenant."""
        async with as_tenant(self._engine, tenant) as connection:
            row = (await connection.execute(ONE, {"id": identifier})).one_or_none()
        return None if row is None else _view(row)

    async def rotate(self, tenant: str, identifier: str, sha256: str, overlap: timedelta) -> ApiKey | None:
        """The new secret before the old one, which ends with the overlap."""
        async with self._changing(tenant, identifier) as (connection, row):
            if row is None:
                return None
            if _view(row).state != "active":
                raise KeyEnded
            ends = datetime.now(UTC) + overlap
            before = [each.model_copy(update={"until": ends}) for each in entry_of(row).secrets[: MOST_SECRETS - 1]]
            secrets = (KeySecret(sha256=sha256), *(before if overlap else ()))
            row = (await connection.execute(_ROTATE, {"id": identifier, "secrets": _json(secrets)})).one()
            await announce(connection, row)
        return _view(row)

    async def revoke(self, tenant: str, identifier: str) -> ApiKey | None:
        """Mark and announce; again where it was revoked before, in case nobody heard."""
        async with self._changing(tenant, identifier) as (connection, row):
            if row is None:
                return None
            row = (await connection.execute(_REVOKE, {"id": identifier})).one()
            await announce(connection, row)
        return _view(row)

    async def used(self, tenant: str, last: Mapping[str, datetime]) -> None:
        """One statement for all of a tenant's keys."""
        rows = [{"id": identifier, "at": at.isoformat()} for identifier, at in sorted(last.items())]
        async with as_tenant(self._engine, tenant) as connection:
            await connection.execute(_USED, {"rows": json.dumps(rows)})

    async def close(self) -> None:
        """Let the connections go."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _changing(self, tenant: str, identifier: str) -> AsyncIterator[tuple[AsyncConnection, Row[Any] | None]]:
        async with as_tenant(self._engine, tenant) as connection:
            await connection.execute(LOCK, {"id": identifier})
            yield connection, (await connection.execute(ONE, {"id": identifier})).one_or_none()


def _view(row: Row[Any]) -> ApiKey:
    expired = row.expires_at is not None and row.expires_at <= datetime.now(UTC)
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        state="revoked" if row.revoked_at is not None else "expired" if expired else "active",
        created_at=row.created_at,
        created_by=row.created_by,
        rotated_at=row.rotated_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        limits=limits_of(row),
    )


def _json(secrets: tuple[KeySecret, ...]) -> str:
    return json.dumps([each.model_dump(mode="json") for each in secrets])

"""Webhook endpoints and deliveries as their tenants see and change them, as role `headrace_api`."""

import json
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.errors import AlreadyVerified, TooManyEndpoints, WrongCode
from schemas.webhooks import (
    MOST_ENDPOINTS,
    TEST,
    VERIFICATION,
    DeliveryList,
    DeliveryQuery,
    DeliveryView,
    Endpoint,
    EndpointChange,
    NewEndpoint,
    SecretVersion,
    body,
    message_id,
    new_code,
)
from sinks.postgres import webhook_deliveries as deliveries
from sinks.postgres.engine import as_tenant, connect
from sinks.postgres.webhook_statements import RING

_ALL = text("SELECT * FROM webhook_endpoints ORDER BY created_at DESC, id DESC")
_ONE = text("SELECT * FROM webhook_endpoints WHERE id = :id")
# Of one tenant one after the other: else two could each make the last that it may have.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('headrace.webhooks:' || :tenant, 0))")
_COUNT = text("SELECT count(*) FROM webhook_endpoints")
_CREATE = text("""
    INSERT INTO webhook_endpoints (id, tenant, url, events, payload, description, state, code, secrets, created_by)
    VALUES (:id, :tenant, :url, :events, :payload, :description, 'pending', :code, CAST(:secrets AS jsonb), :by)
    RETURNING *
""")
_CHANGE = text("""
    UPDATE webhook_endpoints SET url = :url, events = :events, payload = :payload, description = :description,
        state = :state, reason = :reason, code = :code, verified_at = :verified_at, disabled_at = :disabled_at,
        failing_since = :failing_since
    WHERE id = :id RETURNING *
""")
_REMOVE = text("DELETE FROM webhook_endpoints WHERE id = :id")
_SECRETS = text("UPDATE webhook_endpoints SET secrets = CAST(:secrets AS jsonb) WHERE id = :id")
_VERIFIED = text("UPDATE webhook_endpoints SET state = 'active', verified_at = now() WHERE id = :id RETURNING *")
_SAY = text("""
    INSERT INTO webhook_messages (id, tenant, type, job, document_id, revision, at, thin, whole)
    VALUES (:id, :tenant, :type, '', '', 1, :at, :body, :body)
""")
_SEND = text("""
    INSERT INTO webhook_deliveries (endpoint, message, tenant, at, verifies)
    VALUES (:endpoint, :id, :tenant, :at, :verifies)
""")
# What an older code was sent with asks for nothing any more.
_OVER = text("""
    UPDATE webhook_deliveries SET state = 'failed' WHERE endpoint = :endpoint AND verifies AND state = 'waiting'
""")
MOST_SECRETS = 10
"""Secrets of an endpoint that sign at once."""


class PostgresWebhookStore:
    """`schemas.webhook_ports.WebhookStore`."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)

    async def create(
        self, tenant: str, identifier: str, wanted: NewEndpoint, secret: SecretVersion, by: str
    ) -> Endpoint:
        """Insert, and send what is to be told back."""
        values = wanted.model_dump() | {
            "id": identifier, "tenant": tenant, "events": list(wanted.events), "code": new_code(), "by": by,
            "secrets": _json((secret,)),
        }  # fmt: skip
        async with as_tenant(self._engine, tenant) as connection:
            await connection.execute(_LOCK, {"tenant": tenant})
            if int(await connection.scalar(_COUNT) or 0) >= MOST_ENDPOINTS:
                raise TooManyEndpoints
            row = (await connection.execute(_CREATE, values)).one()
            await _challenge(connection, row)
        return _view(row)

    async def endpoints(self, tenant: str) -> list[Endpoint]:
        """All of a tenant."""
        async with as_tenant(self._engine, tenant) as connection:
            return [_view(row) for row in await connection.execute(_ALL)]

    async def endpoint(self, tenant: str, identifier: str) -> Endpoint | None:
        """One of a tenant."""
        async with self._found(tenant, identifier) as (_, row):
            return None if row is None else _view(row)

    async def secrets(self, tenant: str, identifier: str) -> tuple[SecretVersion, ...] | None:
        """Those that sign now."""
        async with self._found(tenant, identifier) as (_, row):
            return None if row is None else _signing(row)

    async def change(self, tenant: str, identifier: str, wanted: EndpointChange) -> Endpoint | None:
        """The row as it is to be; a new URL is another endpoint, of which nothing is known yet."""
        async with self._found(tenant, identifier, lock=True) as (connection, row):
            if row is None:
                return None
            values = {name: getattr(row, name) for name in _CHANGED} | wanted.model_dump(exclude_none=True)
            enabled, moved = values.pop("enabled", None), values["url"] != row.url
            if moved:
                values |= {"verified_at": None, "code": new_code(), "failing_since": None}
            if enabled is False:
                values |= {"state": "disabled", "reason": "by_owner", "disabled_at": datetime.now(UTC)}
            elif enabled or moved:
                state = "active" if values["verified_at"] else "pending"
                values |= {"state": state, "reason": "", "disabled_at": None, "failing_since": None}
            values |= {"id": identifier, "events": list(values["events"])}
            row = (await connection.execute(_CHANGE, values)).one()
            if row.state == "pending" and (moved or enabled):
                await _challenge(connection, row)
            await connection.execute(RING)
        return _view(row)

    async def remove(self, tenant: str, identifier: str) -> bool:
        """Delete the row; deliveries and attempts go with it."""
        async with as_tenant(self._engine, tenant) as connection:
            return bool((await connection.execute(_REMOVE, {"id": identifier})).rowcount)

    async def rotate(self, tenant: str, identifier: str, key: int, overlap: timedelta) -> bool:
        """The new secret before those that sign now, which end with the overlap."""
        async with self._found(tenant, identifier, lock=True) as (connection, row):
            if row is None:
                return False
            ends, known = datetime.now(UTC) + overlap, _secrets(row)
            fresh = SecretVersion(key=key, version=max(each.version for each in known) + 1)
            before = [
                each.model_copy(update={"until": min(each.until or ends, ends)})
                for each in (_signing(row) if overlap else ())
            ]
            kept = (fresh, *before[: MOST_SECRETS - 1])
            await connection.execute(_SECRETS, {"id": identifier, "secrets": _json(kept)})
        return True

    async def verify(self, tenant: str, identifier: str, code: str) -> Endpoint | None:
        """Only an endpoint that waits for it becomes active."""
        async with self._found(tenant, identifier, lock=True) as (connection, row):
            if row is None:
                return None
            if not secrets.compare_digest(row.code.encode(), code.encode()):
                raise WrongCode
            if row.state == "pending":
                row = (await connection.execute(_VERIFIED, {"id": identifier})).one()
                await connection.execute(_OVER, {"endpoint": identifier})
                await connection.execute(RING)
        return _view(row)

    async def challenge(self, tenant: str, identifier: str) -> str | None:
        """Another message with another code."""
        async with self._found(tenant, identifier, lock=True) as (connection, row):
            if row is None:
                return None
            if row.state != "pending":
                raise AlreadyVerified
            values = {name: getattr(row, name) for name in _CHANGED} | {"id": identifier, "code": new_code()}
            return await _challenge(connection, (await connection.execute(_CHANGE, values)).one())

    async def test(self, tenant: str, identifier: str) -> str | None:
        """A message that is for this endpoint alone."""
        async with self._found(tenant, identifier) as (connection, row):
            if row is None:
                return None
            return await _say(connection, row, TEST, {"endpoint": row.id})

    async def deliveries(self, tenant: str, identifier: str, query: DeliveryQuery) -> DeliveryList | None:
        """By keyset."""
        async with self._found(tenant, identifier) as (connection, row):
            return None if row is None else await deliveries.page(connection, identifier, query)

    async def delivery(self, tenant: str, identifier: str, message: str) -> DeliveryView | None:
        """With its newest hundred attempts."""
        async with as_tenant(self._engine, tenant) as connection:
            return await deliveries.view(connection, identifier, message)

    async def resend(self, tenant: str, identifier: str, message: str) -> bool:
        """Due at once, with the whole schedule before it."""
        async with as_tenant(self._engine, tenant) as connection:
            return await deliveries.resend(connection, identifier, message)

    async def recover(self, tenant: str, identifier: str, since: datetime) -> int | None:
        """All in one statement."""
        async with self._found(tenant, identifier) as (connection, row):
            return None if row is None else await deliveries.recover(connection, identifier, since)

    async def replay(self, tenant: str, identifier: str, since: datetime) -> int | None:
        """All in one statement."""
        async with self._found(tenant, identifier) as (connection, row):
            return None if row is None else await deliveries.replay(connection, row, since)

    async def close(self) -> None:
        """Let the connections go."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _found(
        self, tenant: str, identifier: str, *, lock: bool = False
    ) -> AsyncIterator[tuple[AsyncConnection, Row[Any] | None]]:
        statement = text(f"{_ONE.text} FOR NO KEY UPDATE") if lock else _ONE
        async with as_tenant(self._engine, tenant) as connection:
            yield connection, (await connection.execute(statement, {"id": identifier})).one_or_none()


_CHANGED = (
    "url", "events", "payload", "description", "state", "reason", "code", "verified_at", "disabled_at", "failing_since",
)  # fmt: skip


async def _challenge(connection: AsyncConnection, row: Row[Any]) -> str:
    await connection.execute(_OVER, {"endpoint": row.id})
    return await _say(connection, row, VERIFICATION, {"endpoint": row.id, "code": row.code})


async def _say(connection: AsyncConnection, row: Row[Any], kind: str, data: dict[str, Any]) -> str:
    """A message for one endpoint alone; its id."""
    identifier, at = message_id(uuid.uuid4()), datetime.now(UTC)
    told = body(kind, at.isoformat(), data)
    values = {"id": identifier, "tenant": row.tenant, "type": kind, "at": at, "body": told}
    await connection.execute(_SAY, values)
    values = {"endpoint": row.id, "id": identifier, "tenant": row.tenant, "at": at, "verifies": kind == VERIFICATION}
    await connection.execute(_SEND, values)
    await connection.execute(RING)
    return identifier


def _view(row: Row[Any]) -> Endpoint:
    own = row._mapping
    return Endpoint(**{name: own[name] for name in Endpoint.model_fields})


def _secrets(row: Row[Any]) -> tuple[SecretVersion, ...]:
    told = json.loads(row.secrets) if isinstance(row.secrets, str) else row.secrets
    return tuple(SecretVersion.model_validate(each) for each in told)


def _signing(row: Row[Any]) -> tuple[SecretVersion, ...]:
    now = datetime.now(UTC)
    return tuple(each for each in _secrets(row) if each.good(now))


def _json(found: tuple[SecretVersion, ...]) -> str:
    return json.dumps([each.model_dump(mode="json") for each in found])

"""Deliveries as their tenants see them, and send them again."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.webhooks import Attempt, Delivery, DeliveryList, DeliveryQuery, DeliveryView
from sinks.postgres import cursors
from sinks.postgres.webhook_statements import RING

_ORDER = "at"
_SHOWN = """
    SELECT message, type, job, webhook_deliveries.at, webhook_deliveries.state, attempts, status, error,
        CASE WHEN webhook_deliveries.state = 'waiting' THEN due END AS next_attempt_at
"""
_PAGE = text(f"""{_SHOWN}
    FROM webhook_deliveries JOIN webhook_messages ON webhook_messages.id = message
    WHERE endpoint = :endpoint AND (CAST(:state AS text) IS NULL OR state = :state)
        AND (CAST(:at AS timestamptz) IS NULL OR (webhook_deliveries.at, message) < (:at, CAST(:last AS text)))
    ORDER BY webhook_deliveries.at DESC, message DESC LIMIT :limit
""")
_ONE = text(f"""{_SHOWN}, CASE WHEN payload = 'full' THEN whole ELSE thin END AS body
    FROM webhook_deliveries JOIN webhook_messages ON webhook_messages.id = message
    JOIN webhook_endpoints ON webhook_endpoints.id = endpoint
    WHERE endpoint = :endpoint AND message = :message
""")
_ATTEMPTS = text("""
    SELECT at, seconds, status, error, CAST(request AS text) AS request, response FROM webhook_attempts
    WHERE endpoint = :endpoint AND message = :message ORDER BY id DESC LIMIT 100
""")
_RESEND = text("""
    UPDATE webhook_deliveries SET state = 'waiting', tries = 0, due = now()
    WHERE endpoint = :endpoint AND message = :message
""")
_RECOVER = text("""
    UPDATE webhook_deliveries SET state = 'waiting', tries = 0, due = now()
    WHERE endpoint = :endpoint AND state = 'failed' AND at >= :since AND NOT verifies
""")
_REPLAY = text("""
    INSERT INTO webhook_deliveries (endpoint, message, tenant, at)
    SELECT :endpoint, id, tenant, at FROM webhook_messages
    WHERE tenant = :tenant AND at >= :since AND type = ANY(:events) ORDER BY id
    ON CONFLICT DO NOTHING
""")


async def page(connection: AsyncConnection, endpoint: str, query: DeliveryQuery) -> DeliveryList:
    """One page, newest message first; raises `BadRequest` for a cursor of another list."""
    values: dict[str, Any] = {"endpoint": endpoint, "state": query.state, "at": None, "last": None}
    if query.after is not None:
        at, values["last"] = cursors.decode(query.after, _ORDER)
        values["at"] = cursors.moment(at)
    rows = (await connection.execute(_PAGE, values | {"limit": query.limit + 1})).all()
    shown, following = cursors.cut(rows, query.limit, _ORDER, lambda row: (cursors.micros(row.at), row.message))
    return DeliveryList(data=[Delivery(**row._mapping) for row in shown], **following)


async def view(connection: AsyncConnection, endpoint: str, message: str) -> DeliveryView | None:
    """One delivery, None where there is none."""
    named = {"endpoint": endpoint, "message": message}
    row = (await connection.execute(_ONE, named)).one_or_none()
    if row is None:
        return None
    tried = [_attempt(each) for each in await connection.execute(_ATTEMPTS, named)]
    return DeliveryView(**{**row._mapping, "body": json.loads(row.body)}, tried=tried)


async def resend(connection: AsyncConnection, endpoint: str, message: str) -> bool:
    """Make it due; whether there is such a delivery."""
    found = await connection.execute(_RESEND, {"endpoint": endpoint, "message": message})
    await connection.execute(RING)
    return bool(found.rowcount)


async def recover(connection: AsyncConnection, endpoint: str, since: datetime) -> int:
    """Make due what failed; how many."""
    found = await connection.execute(_RECOVER, {"endpoint": endpoint, "since": since})
    await connection.execute(RING)
    return found.rowcount


async def replay(connection: AsyncConnection, endpoint: Row[Any], since: datetime) -> int:
    """Make deliveries of messages that have none; how many."""
    values = {"endpoint": endpoint.id, "tenant": endpoint.tenant, "since": since, "events": list(endpoint.events)}
    found = await connection.execute(_REPLAY, values)
    await connection.execute(RING)
    return found.rowcount


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**{**row._mapping, "request": json.loads(row.request)})

"""API keys as rows, and how they are told: by the outbox, in the transaction of the change."""

import json
import uuid
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.keys import KeyEntry, KeySecret, control_key
from schemas.limits import Limits
from schemas.topics import CONTROL

# Before anything is written: the outbox goes in the order in which transactions first wrote, and of two changes of one
# key the one that waited for the other must come later there as well.
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('headrace.key:' || :id, 0))")
ONE = text("SELECT * FROM api_keys WHERE id = :id")
_ANNOUNCE = text("""
    INSERT INTO outbox (ce_id, tenant, job, topic, key, headers, value)
    VALUES (:ce_id, :tenant, '', :topic, :key, '[]', :value)
""")
_TELL = text("SELECT pg_notify('headrace_outbox', '')")


async def announce(connection: AsyncConnection, row: Row[Any]) -> None:
    """Put what stands of a key into the outbox; whoever changed it holds `LOCK`."""
    values = {
        "ce_id": uuid.uuid4(),
        "tenant": row.tenant,
        "topic": CONTROL.name,
        "key": control_key(row.id).decode(),
        "value": entry_of(row).model_dump_json(),
    }
    await connection.execute(_ANNOUNCE, values)
    await connection.execute(_TELL)


def entry_of(row: Row[Any]) -> KeyEntry:
    """What API processes are told of a key."""
    return KeyEntry(
        tenant=row.tenant,
        scopes=tuple(row.scopes),
        secrets=tuple(KeySecret.model_validate(each) for each in _parsed(row.secrets)),
        expires_at=row.expires_at,
        revoked=row.revoked_at is not None,
        limits=limits_of(row),
    )


def limits_of(row: Row[Any]) -> Limits | None:
    """The key's own limits."""
    return None if row.limits is None else Limits.model_validate(_parsed(row.limits))


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value

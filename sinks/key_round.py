"""API keys against what the log says of them: a key that the log lost, or is behind with, is told again."""

import asyncio
from collections import Counter

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from producers.whole_topic import messages
from schemas.broker import Broker
from schemas.keys import control_key
from schemas.topics import CONTROL
from sinks.postgres.engine import transaction
from sinks.postgres.key_rows import LOCK, ONE, announce, entry_of

# What was changed a moment ago is on its way.
_SETTLED = text("""
    SELECT * FROM api_keys
    WHERE greatest(created_at, rotated_at, revoked_at) < now() - make_interval(secs => 60) ORDER BY id
""")


class KeyRound:
    """One round over all keys."""

    def __init__(self, engine: AsyncEngine, broker: Broker) -> None:
        self._engine = engine
        self._broker = broker

    async def run(self, *, dry: bool = False) -> Counter[str]:
        """Announce each key that the log does not have as it stands; raises `DependencyDown`."""
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(_SETTLED)).all()
        told = await asyncio.to_thread(_told, self._broker) if rows else {}
        lost = [row.id for row in rows if told.get(control_key(row.id)) != entry_of(row).model_dump_json().encode()]
        for identifier in lost if not dry else ():
            async with transaction(self._engine) as connection:
                await connection.execute(LOCK, {"id": identifier})
                await announce(connection, (await connection.execute(ONE, {"id": identifier})).one())
        return Counter(keys=len(lost))


def _told(broker: Broker) -> dict[bytes, bytes | None]:
    return {message.key() or b"": message.value() for message in messages(broker, CONTROL.name)}

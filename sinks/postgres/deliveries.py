"""What is to be delivered, as couriers claim it and say what became of it; role `headrace_sink`."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.envelope import NAMESPACE
from schemas.webhooks import DISABLED, SecretVersion, body, message_id
from sinks.postgres import webhook_statements as sql
from sinks.postgres.engine import transaction
from sinks.postgres.rows import bulk, packed

Row = Mapping[str, Any]


class Claimed(NamedTuple):
    """A delivery for this courier alone until its lease is over. `tries` were made before, `body` is JSON."""

    endpoint: str
    message: str
    tenant: str
    tries: int
    verifies: bool
    url: str
    secrets: tuple[SecretVersion, ...]
    failing: bool
    code: str
    body: bytes


class Deliveries:
    """The tables, one transaction a call; all raise `DependencyDown`, or `Contended` where it is to be tried again.

    `longest_hours`: an endpoint that was only failing for so long is disabled.
    """

    def __init__(self, engine: AsyncEngine, *, lease_seconds: float, longest_hours: float) -> None:
        self._engine = engine
        self._lease = lease_seconds
        self._longest = longest_hours * 3600

    async def claim(self, rooms: Mapping[str, int], room: int, most: int) -> tuple[list[Claimed], float | None]:
        """At most `most` that are due, at most `rooms` (else `room`) of an endpoint; and the seconds until more are.

        None: nothing will be. What is due and was not claimed had no room, or another courier was just claiming it.
        """
        told = packed([{"endpoint": endpoint, "room": free} for endpoint, free in rooms.items()])
        values = {"rooms": told, "room": room, "most": most, "lease": self._lease}
        async with transaction(self._engine) as connection:
            claimed = [_claimed(row) for row in await connection.execute(sql.CLAIM, values)]
            due = await connection.scalar(sql.NEXT_DUE)
        return claimed, None if due is None else float(due)

    async def settle(self, outcomes: Sequence[Row], endpoints: Sequence[Row]) -> list[str]:
        """Note attempts and what they mean for their endpoints, which are each named once.

        Endpoints that are disabled by it are told of to the tenant's others; returns their ids.
        """
        async with transaction(self._engine) as connection:
            # Endpoints before their deliveries, as whoever changes or removes an endpoint locks them.
            values = {"rows": packed(endpoints), "longest": self._longest}
            ended = [row for row in await connection.execute(sql.JUDGE, values) if row.ends]
            await bulk(connection, sql.SETTLE, outcomes)
            await self._tell(connection, ended)
        return [row.id for row in ended]

    async def release(self, held: Sequence[tuple[str, str]]) -> None:
        """Give back what was claimed and not begun: it is due at once, for whoever comes."""
        async with transaction(self._engine) as connection:
            await bulk(connection, sql.RELEASE, [{"endpoint": one, "message": other} for one, other in held])
            await connection.execute(sql.RING)

    async def _tell(self, connection: AsyncConnection, ended: Sequence[Any]) -> None:
        notices = [_notice(row) for row in ended]
        await bulk(connection, sql.TAKE, sorted(notices, key=lambda row: str(row["id"])))


def _claimed(row: Any) -> Claimed:
    secrets = tuple(SecretVersion.model_validate(each) for each in json.loads(row.secrets))
    return Claimed(
        row.endpoint, row.message, row.tenant, row.tries, row.verifies, row.url, secrets, row.failing, row.code,
        row.body.encode(),
    )  # fmt: skip


def _notice(row: Any) -> dict[str, Any]:
    at = row.disabled_at.isoformat()
    told = body(DISABLED, at, {"endpoint": row.id, "url": row.url, "reason": row.reason})
    return {
        "id": message_id(uuid.uuid5(NAMESPACE, f"{row.id}|{at}|{DISABLED}")),
        "tenant": row.tenant,
        "type": DISABLED,
        "job": "",
        "document_id": "",
        "revision": 1,
        "at": at,
        "thin": told,
        "whole": told,
    }

"""The outbox read in an order in which no row ever comes late, by one process at a time."""

import json
import logging
from collections.abc import Callable
from typing import Any

import asyncpg

from schemas.errors import DependencyDown
from schemas.ports import OutboxRow, Place
from schemas.records import Outgoing
from schemas.results import RelayPosition
from sinks.postgres.engine import FAULTS, down

log = logging.getLogger(__name__)
_CHANNEL = "headrace_outbox"

_LOCK = "SELECT pg_try_advisory_lock(hashtext('headrace.relay'), 0)"

# Rows of a dump carry transactions of the cluster it was taken from: none that this one has begun is as high.
_ADOPT = "UPDATE outbox SET xid = pg_current_xact_id() WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())"
_AHEAD = "SELECT $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())"

# Every transaction below the snapshot's xmin has ended, so nothing can be written there any more. The number of a row
# is given when it is written, not when it is committed: in order of `seq` alone, rows of late committers are skipped.
_READ = """
    SELECT batch.xid::text AS number, seq, tenant, topic, key, headers, value
    FROM (
        SELECT candidate.*, sum(octet_length(value)) OVER (ORDER BY xid, seq) - octet_length(value) AS before
        FROM (
            SELECT xid, seq, tenant, topic, key, headers, value FROM outbox
            WHERE (xid, seq) > ($1::text::xid8, $2::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY xid, seq LIMIT 500
        ) AS candidate
    ) AS batch
    WHERE before < 4 * 1024 * 1024 ORDER BY batch.xid, seq
"""
_HELD_BACK = "SELECT EXISTS (SELECT FROM outbox WHERE (xid, seq) > ($1::text::xid8, $2::bigint))"
_BACKLOG = """
    SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8
    FROM outbox WHERE (xid, seq) > ($1::text::xid8, $2::bigint)
"""
_PRUNE_ROWS = 1000
_PRUNE = """
    DELETE FROM outbox WHERE seq IN (
        SELECT seq FROM (
            SELECT seq, at FROM outbox WHERE (xid, seq) <= ($1::text::xid8, $2::bigint) ORDER BY xid, seq LIMIT $3
        ) AS oldest WHERE at < now() - make_interval(secs => $4)
    )
"""


class PostgresOutbox:
    """`ports.Outbox` on one connection as role `headrace_sink`, whose session holds an advisory lock while it leads.

    A process that hangs for `lease_seconds` loses its session, and so the lock, to the next. Rows are kept `days`.
    """

    def __init__(self, url: str, lease_seconds: float, days: float) -> None:
        self._url = url
        self._lease = lease_seconds
        self._keep = days * 24 * 3600
        self._connection: asyncpg.Connection | None = None
        self._incarnation = ""

    @property
    def leads(self) -> bool:
        """Whether the connection that holds the lock stands, as far as is known."""
        return self._connection is not None and not self._connection.is_closed()

    async def lead(self, news: Callable[[], object]) -> str | None:
        """Try to take the lock; waiting for it in PostgreSQL would hold a snapshot, and vacuum with it."""
        if self._connection is None:
            self._connection = await self._connect()
        if not (await self._ask(_LOCK))[0][0]:
            return None
        self._connection.add_termination_listener(lambda _: news())
        try:
            await self._connection.add_listener(_CHANNEL, lambda *_: news())
        except FAULTS as error:
            raise down(error) from error
        self._incarnation = (await self._ask("SELECT id::text FROM incarnation"))[0][0]
        return self._incarnation

    async def begin(self, position: RelayPosition | None) -> Place:
        """The place of `position`, if it is of this very database and not of a future that a restore undid."""
        await self._ask(_ADOPT)
        if position is None:
            return Place(0, 0)
        if position.incarnation != self._incarnation:
            log.warning("the position is of outbox %s: this database is another one, from its beginning", position)
            return Place(0, 0)
        if (await self._ask(_AHEAD, str(position.xid)))[0][0]:
            log.warning("the database is older than the position (%s): restored? Its outbox is relayed anew", position)
            return Place(0, 0)
        return Place(position.xid, position.seq)

    async def read(self, after: Place) -> list[OutboxRow]:
        """The next at most 500 rows, at most about 4 MiB."""
        return [_row(found) for found in await self._ask(_READ, str(after.xid), after.seq)]

    async def held_back(self, after: Place) -> bool:
        """Whether anything is committed after a place."""
        return bool((await self._ask(_HELD_BACK, str(after.xid), after.seq))[0][0])

    async def backlog(self, after: Place) -> tuple[int, float]:
        """Rows and seconds."""
        count, age = (await self._ask(_BACKLOG, str(after.xid), after.seq))[0]
        return count, age

    async def prune(self, through: Place) -> bool:
        """Delete old rows among the first thousand."""
        if self._connection is None:
            raise DependencyDown("not connected to PostgreSQL")
        try:
            done = await self._connection.execute(_PRUNE, str(through.xid), through.seq, _PRUNE_ROWS, self._keep)
        except FAULTS as error:
            raise down(error) from error
        return str(done) == f"DELETE {_PRUNE_ROWS}"

    async def close(self) -> None:
        """Drop the connection: its session, its lock and its listening end with it."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection:
        lease = f"{int(self._lease * 1000)}"
        settings = {
            "application_name": "headrace-relay",
            "idle_session_timeout": lease,
            "idle_in_transaction_session_timeout": lease,
            "statement_timeout": lease,
            "tcp_keepalives_idle": "3",
            "tcp_keepalives_interval": "2",
            "tcp_keepalives_count": "2",
        }
        try:
            return await asyncpg.connect(self._url, timeout=5, command_timeout=self._lease, server_settings=settings)
        except FAULTS as error:
            raise down(error) from error

    async def _ask(self, query: str, *values: object) -> list[Any]:
        if self._connection is None:
            raise DependencyDown("not connected to PostgreSQL")
        try:
            return list(await self._connection.fetch(query, *values))
        except FAULTS as error:
            raise down(error) from error


def _row(found: Any) -> OutboxRow:
    headers = tuple((name, value.encode()) for name, value in json.loads(found["headers"]))
    record = Outgoing(found["topic"], found["key"].encode(), found["value"].encode(), headers)
    return OutboxRow(Place(int(found["number"]), found["seq"]), found["tenant"], record)

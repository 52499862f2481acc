"""Rows as the projector leaves them, for readers that are tested without it."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Scribe:
    """Writes rows of tenant `demo`, or of the one named, as role `headrace_sink`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    async def __aenter__(self) -> "Scribe":
        self._connection = await asyncpg.connect(self._url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def job(self, job: str = "", *, second: float = 0, **columns: object) -> str:
        """A job accepted `second` seconds after the beginning."""
        row: dict[str, object] = {
            "id": job or f"job_{uuid.uuid4().hex}",
            "tenant": "demo",
            "document_id": "d",
            "revision": 1,
            "plan": "p",
            "lane": "interactive",
            "data_class": "internal",
            "pipeline": "document",
            "created_at": BEGAN + timedelta(seconds=second),
        } | columns
        await self._insert("jobs", row)
        return str(row["id"])

    async def document(self, name: str, job: str, revision: int, *, tenant: str = "demo", dropped: int = 0) -> None:
        row = {"tenant": tenant, "document_id": name, "revision": revision, "job": job, "dropped": dropped}
        await self._insert("documents", row)

    async def tell(self, job: str, kinds: Sequence[str], *, begin: int = 1, run: int = 1) -> None:
        """Events `begin` and up, in one transaction that notifies, as the projector's."""
        async with self._connection.transaction():
            for seq, kind in enumerate(kinds, begin):
                part = seq if kind.startswith("page.") else 0
                row = {"job": job, "seq": seq, "tenant": "demo", "run": run, "event": kind, "part": part}
                await self._insert("job_events", row | {"at": datetime.now(UTC)})
            await self._connection.execute("SELECT pg_notify('headrace_jobs', $1)", job)

    async def many(self, tenant: str, count: int) -> None:
        """Ended jobs, enough for the planner to prefer an index."""
        await self._connection.execute(
            "INSERT INTO jobs (id, tenant, document_id, revision, plan, lane, data_class, pipeline, created_at, "
            "finished_at, state) SELECT 'job_' || $1 || n, $1, 'd', 1, 'p', 'bulk', 'internal', 'document', now(), "
            "now(), 'failed' FROM generate_series(1, $2) AS n",
            tenant,
            count,
        )

    async def _insert(self, table: str, row: dict[str, object]) -> None:
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await self._connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())

"""What every store holds after a fault run, against what lies on the log."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import asyncpg

from deploy.local.session import Session
from schemas.broker import Broker
from schemas.codec import index_id
from schemas.documents import ChunksEmbedded
from schemas.envelope import Envelope
from schemas.topics import EVENTS, RESULTS, VECTORS
from sinks.weaviate_client import WeaviateConnection
from tests.faults.vector_server import VectorServer
from tests.support import read

TENANT = "demo"
Place = tuple[str, int]


class Judge:
    """Reads the database as its owner, the index by its own client, and the topics whole."""

    def __init__(self, stack: Session, vectors: VectorServer | None = None) -> None:
        self._stack = stack
        self._vectors = vectors

    async def settle(self, jobs: Mapping[str, int], seconds: float) -> None:
        """Wait until every job has ended and the relay has told so."""
        deadline = time.monotonic() + seconds
        while not await self._ended(jobs):
            assert time.monotonic() < deadline, f"jobs not ended after {seconds} s"
            await asyncio.sleep(0.2)
        while len(self._announced()["JobEnded"]) < len(jobs):
            assert time.monotonic() < deadline, "the relay did not catch up"
            await asyncio.sleep(0.2)

    async def effects(self, jobs: Mapping[str, int]) -> dict[str, Any]:
        """States, and what each store lacks or has too much of; `jobs` maps ids to their number of parts."""
        wanted = {(job, part) for job, parts in jobs.items() for part in range(1, parts + 1)}
        rows = await self._rows("select job, part, ce_id from results")
        results = {(row["job"], row["part"]): str(row["ce_id"]) for row in rows}
        told, announced, passages = self._told(), self._announced(), self._passages()
        indexed = {"pgvector": {str(row["id"]) for row in await self._rows("select id from chunks")}}
        if self._vectors is not None:
            indexed["weaviate"] = await self._weaviate()
        states = Counter(row["state"] for row in await self._rows("select state from jobs"))
        return {
            "states": dict(states),
            "lost results": len(wanted - results.keys()),
            "doubled results": sum(len(ids) > 1 for ids in told["PageRead"].values()),
            "results of no event": sum(told["PageRead"][place] != {kept} for place, kept in results.items()),
            **{f"lost from {name}": len(passages - found) for name, found in indexed.items()},
            **{f"too much in {name}": len(found - passages) for name, found in indexed.items()},
            "pages not announced": len(wanted - announced["PageEnded"].keys()),
            "pages announced twice": sum(count > 1 for count in announced["PageEnded"].values()),
            "ends not announced": len({(job, 0) for job in jobs} - announced["JobEnded"].keys()),
            "ends announced twice": sum(count > 1 for count in announced["JobEnded"].values()),
        }

    def repeats(self) -> tuple[int, int]:
        """Events on the log, and how many of them repeat an id: work done twice."""
        ids = [dict(message.headers() or [])["ce_id"] for message in self._read(EVENTS.name)]
        return len(ids), len(ids) - len(set(ids))

    async def _ended(self, jobs: Mapping[str, int]) -> bool:
        states = await self._rows("select state from jobs")
        return len(states) == len(jobs) and all(row["state"] not in ("queued", "running") for row in states)

    def _announced(self) -> dict[str, Counter[Place]]:
        """What a `read_committed` reader sees on the results topic: kind to place to how often."""
        found: dict[str, Counter[Place]] = defaultdict(Counter)
        for message in self._read(RESULTS.name):
            envelope = Envelope.from_headers(message.headers())
            found[envelope.name][envelope.job, envelope.part] += 1
        return found

    def _told(self) -> dict[str, dict[Place, set[str]]]:
        """On the log: kind to place to the ids said of it. A repeat of the same work has the same id."""
        told: dict[str, dict[Place, set[str]]] = defaultdict(lambda: defaultdict(set))
        for message in self._read(EVENTS.name):
            envelope = Envelope.from_headers(message.headers())
            told[envelope.name][envelope.job, envelope.part].add(str(envelope.id))
        return told

    def _passages(self) -> set[str]:
        """The ids of all passages that were embedded: what an index must hold."""
        found = set()
        for message in self._read(VECTORS.name):
            envelope = Envelope.from_headers(message.headers())
            page = ChunksEmbedded.model_validate(json.loads(message.value()))
            found |= {str(index_id(envelope, chunk.index, page.engine.digest)) for chunk in page.chunks}
        return found

    async def _weaviate(self) -> set[str]:
        assert self._vectors is not None
        connection = WeaviateConnection(self._vectors.server.url, self._vectors.server.grpc)
        try:
            own = (await connection.passages()).with_tenant(TENANT)
            return {str(item.uuid) async for item in own.iterator(return_properties=[])}
        finally:
            await connection.close()

    def _read(self, topic: str) -> list[Any]:
        return read(Broker(self._stack.kafka), topic)

    async def _rows(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self._stack.admin_url)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

"""The indexes as the platform puts them together, on real servers: each with its search."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil
import pytest

from api.main import ClosableSearch, search_of
from deploy.local import children, ports
from deploy.local.postgres import Postgres
from deploy.local.weaviate import PORTS, Weaviate
from schemas.jobs import SearchHit
from schemas.ports import Query
from schemas.settings import Settings
from sinks.fenced_index import FencedIndex
from sinks.worker import SINKS
from tests.contract.passages import AHEAD
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh


@dataclass
class Rig:
    """An index and its search. `told` are the settings beyond PostgreSQL's."""

    kind: str
    database: Database
    told: dict[str, str]

    def __post_init__(self) -> None:
        self.index = self.another()
        self.search: ClosableSearch = search_of(
            Settings.model_validate({**self.told, "postgres": self.database.api, "indexes": self.kind})
        )

    def another(self) -> FencedIndex:
        """One more writer, as another process would be."""
        settings = Settings.model_validate({**self.told, "postgres": self.database.sink})
        return cast(FencedIndex, SINKS[f"index-{self.kind}"](settings, NO_FAILPOINTS))

    async def held(self, tenant: str, document: str | None = None) -> list[SearchHit]:
        """All that is found of a tenant (at most 100 passages), by document, page and chunk."""
        hits = await self.search.search(tenant, Query("", AHEAD, limit=100, document_id=document))
        return sorted(hits, key=lambda hit: (hit.document_id, hit.revision, hit.page, hit.chunk))

    async def close(self) -> None:
        await self.search.close()
        await self.index.close()


KINDS = ["pgvector", pytest.param("weaviate", marks=pytest.mark.needs("weaviate"))]


@pytest.fixture(scope="session")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture(params=KINDS)
async def rig(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Rig]:
    told = request.getfixturevalue("weaviate") if request.param == "weaviate" else {}
    rig = Rig(request.param, database, told)
    await rig.index.open()
    yield rig
    await rig.close()


class Owned:
    """A rig on a server of its own, which may be killed and stopped. PostgreSQL holds the fence of every rig."""

    def __init__(self, kind: str, folder: Path, database: Callable[[str], Database]) -> None:
        self.server: children.Server
        if kind == "weaviate":
            self.server = server = Weaviate(folder, ports.free(len(PORTS)))
            self._told = {"weaviate": server.url, "weaviate_grpc": server.grpc}
        else:
            self.server = Postgres(folder, *ports.free(1), settings={"fsync": "off"})
            self._told = {}
        self._child = children.start(self.server)
        try:
            url = self.server.url if isinstance(self.server, Postgres) else ""
            self.rig = Rig(kind, database(url), self._told)
        except BaseException:
            self.end()
            raise

    def start(self) -> None:
        """Bring the server back (blocking)."""
        self._child = children.start(self.server)

    def kill(self) -> None:
        """Kill -9."""
        self._child.kill()
        self._child.wait()

    def signal(self, number: signal.Signals) -> None:
        """Stop or continue the server and all its children."""
        first = psutil.Process(self._child.pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # a child of PostgreSQL that ended meanwhile
                process.send_signal(number)

    def end(self) -> None:
        """End the server."""
        children.end([self._child], stop_signal=self.server.stop_signal)


@pytest.fixture(params=["pgvector", pytest.param("weaviate", marks=pytest.mark.needs("weaviate-server"))])
async def owned(request: pytest.FixtureRequest, postgres: str, tmp_path: Path) -> AsyncIterator[Owned]:
    owned = await asyncio.to_thread(Owned, request.param, tmp_path, lambda url: fresh(url or postgres))
    yield owned
    await owned.rig.close()  # also where the test failed: what it leaves open would fail another one
    owned.end()

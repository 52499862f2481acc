"""The API over real tables, as the roles that it has when deployed, and all that a tenant may own in them."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.app import create_app
from schemas.documents import PageRead
from schemas.webhooks import message_id
from sinks.blobs import FolderBlobs
from sinks.dead_letters import DeadLetters
from sinks.pgvector_index import PgvectorIndex
from sinks.pgvector_search import PgvectorSearch
from sinks.postgres.engine import connect
from sinks.postgres.keys import PostgresKeyStore
from sinks.postgres.letter_reader import PostgresLetterReader
from sinks.postgres.reader import PostgresJobReader
from sinks.postgres.submissions import PostgresSubmissions
from sinks.postgres.webhooks import PostgresWebhookStore
from sinks.projector import Projector
from sinks.webhooks.intake import Webhooks
from tests.dead_letters import letters
from tests.fakes import FakeEmbedder, World
from tests.sinks import events
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh, rows
from tests.webhooks.worlds import ended

SECRET = "a passage that is demo's alone"


@dataclass
class Owned:
    """What tenant `demo` has: the words that stand for it in paths, and the API that it is reached by."""

    names: dict[str, str]
    call: Callable[..., Any]
    world: World
    database: Database

    async def everything(self) -> dict[str, list[str]]:
        """Every row of every table, but for when a key was used."""
        url = self.database.admin
        tables = await rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return {
            name: sorted(str(dict(row) | {"last_used_at": None}) for row in await rows(url, f"TABLE {name}"))
            for (name,) in tables
        }


class Wide(FakeEmbedder):
    """Vectors of as many dimensions as the table's."""

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        return [(1.0, *[0.0] * (self.dimensions - 1)) for _ in texts]


@pytest.fixture
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def owned(database: Database, tmp_path: Path) -> AsyncIterator[Owned]:
    world, blobs = World(embedder=Wide(dimensions=384)), FolderBlobs(tmp_path)
    api = database.api
    jobs, found, keys = PostgresJobReader(api), PgvectorSearch(api), PostgresKeyStore(api)
    read, hooks = PostgresLetterReader(api), PostgresWebhookStore(api)
    submissions = PostgresSubmissions(api, expiry_hours=24, lease=15)
    parts = replace(
        world.parts(), jobs=jobs, search=found, keys=keys, letters=read, webhooks=hooks, submissions=submissions,
        blobs=blobs, closers=tuple(each.close for each in (jobs, found, keys, read, hooks, submissions)),
    )  # fmt: skip
    app = create_app(parts)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api") as client:

        async def call(key: str, method: str, path: str, **how: Any) -> httpx2.Response:
            return await client.request(method, path, headers={"authorization": f"Bearer {key}"}, **how)

        names = await _job(world, database, blobs) | await _doors(call, database)
        yield Owned(names, call, world, database)
    for close in parts.closers:
        await close()


async def _job(world: World, database: Database, blobs: FolderBlobs) -> dict[str, str]:
    """A job with a page that was read and found, and one that is a dead letter."""
    job = world.ids.issue("demo")
    image = await blobs.write(f"demo/{job}/pages/1/1.png", _once(b"\x89PNG demo's picture"), limit=1000)
    page = PageRead(width=100, height=200, image=image, lines=(events.line(SECRET),), engine=events.STAMP)
    projector, index = Projector(database.sink, NO_FAILPOINTS), PgvectorIndex(database.sink, NO_FAILPOINTS)
    dead = DeadLetters(database.sink, NO_FAILPOINTS, lambda _: None)
    letter = letters.rejected("ocr", job, 2, detail=SECRET)
    await projector.write([events.submitted(job), events.prepared(job, 2), events.task(job, 1, page)])
    await index.open()
    vectors = await index.write([events.embedded(job, 1, [[1.0, *[0.0] * 383]])])
    assert vectors
    await projector.write([events.indexed(job, 1), events.failed(job, 2)])
    await dead.write(letters.told(letter))
    for each in (projector, index, dead):
        await each.close()
    return {"job": job, "page": "1", "document": f"doc-{job}", "letter": str(letters.id_of(letter))}


async def _doors(call: Callable[..., Any], database: Database) -> dict[str, str]:
    """An API key, and a webhook endpoint that was told of a job."""
    key = (await call("demo-key", "POST", "/v1/keys", json={"name": SECRET})).json()
    endpoint = (await call("demo-key", "POST", "/v1/webhook-endpoints", json={"url": "https://demo.example/in"})).json()
    intake, task = Webhooks(connect(database.sink), NO_FAILPOINTS, "https://headrace.example"), ended("job_of_demo")
    await intake.write([task])
    await intake.close()
    return {"key": key["id"], "endpoint": endpoint["id"], "message": message_id(task.envelope.id), "model": "none"}


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content

"""The floors: the same passages by the quickest way that each server has, without fence, checks or replacement."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
from weaviate.classes.data import DataObject

from deploy.local.weaviate import Weaviate
from schemas.work import Task
from sinks.index_pages import pages_of
from sinks.postgres.vectors import wire
from sinks.weaviate_client import COLLECTION, WeaviateConnection

_COLUMNS = (
    "id", "tenant", "document_id", "revision", "job", "run", "page", "chunk", "plan", "digest", "text", "language",
    "box", "boxes", "image_width", "image_height", "embedding",
)  # fmt: skip
_FLOOR = "HeadraceBenchFloor"
# COPY computes nothing: the words to search by are the server's own work.
_FLOOR_TABLE = """
CREATE TABLE bench_floor (LIKE chunks INCLUDING ALL);
ALTER TABLE bench_floor DROP COLUMN words;
ALTER TABLE bench_floor ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED;
CREATE INDEX ON bench_floor USING gin (words);
"""


class CopyFloor:
    """COPY of ready rows into a table equal to `chunks`, indexes included, one transaction a batch."""

    name = "COPY"

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        """Make the table."""
        self._connection = await asyncpg.connect(self._url)
        await self._connection.execute(_FLOOR_TABLE)
        await self._connection.set_type_codec("vector", schema="public", encoder=bytes, decoder=bytes, format="binary")

    def made(self, tasks: Sequence[Task]) -> list[tuple[Any, ...]]:
        """The rows of a batch."""
        return [
            (
                passage.id, page.tenant, page.document, page.revision, page.job, page.run, page.page, passage.chunk,
                page.plan, page.digest, passage.text, passage.language, list(passage.box or ()),
                json.dumps(passage.boxes), page.width, page.height, wire(passage.vector),
            )
            for page in pages_of(tasks)
            for passage in page.passages
        ]  # fmt: skip

    async def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Copy them."""
        await self._connection.copy_records_to_table("bench_floor", records=rows, columns=_COLUMNS)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()


class WeaviateFloor:
    """The client's own batches of ready objects into an equal collection, a hundred a call, four calls at once."""

    name = "insert_many"

    def __init__(self, server: Weaviate) -> None:
        self._connection = WeaviateConnection(server.url, server.grpc)

    async def open(self) -> None:
        """Make the collection as the sink's is."""
        client = await self._connection.client()
        schema = (await client.collections.use(COLLECTION).config.get()).to_dict()
        await client.collections.create_from_dict(schema | {"class": _FLOOR})
        self._passages = client.collections.use(_FLOOR).with_tenant("demo")

    def made(self, tasks: Sequence[Task]) -> list[list[DataObject[dict[str, Any], None]]]:
        """The objects of a batch by the hundred, with all that the sink stores."""
        from sinks.weaviate_objects import object_of

        objects = [object_of(page, passage) for page in pages_of(tasks) for passage in page.passages]
        return [objects[start : start + 100] for start in range(0, len(objects), 100)]

    async def write(self, calls: Sequence[list[DataObject[dict[str, Any], None]]]) -> None:
        """Insert them."""
        await asyncio.gather(*map(self._passages.data.insert_many, calls))

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

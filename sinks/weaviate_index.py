"""The Weaviate index: passages under their deterministic ids, each tenant's in a tenant of one collection."""

import asyncio
import logging
import re
import secrets
import uuid
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections import CollectionAsync
from weaviate.collections.classes.filters import FilterReturn
from weaviate.exceptions import (
    UnexpectedStatusCodeError,
    WeaviateDeleteManyError,
    WeaviateInsertManyAllFailedError,
)

from schemas.errors import DependencyDown, RecordError
from schemas.failpoints import Failpoints
from schemas.settings import Settings
from sinks.fenced_index import FencedIndex
from sinks.index_fence import Admission
from sinks.index_pages import Page, Passage
from sinks.postgres.engine import connect
from sinks.weaviate_client import RETRY_AFTER, WeaviateConnection, absent, bounded

log = logging.getLogger(__name__)

_BATCH_SECONDS = 50.0  # PostgreSQL ends a transaction that was idle for 60, and with it the fence
_CALL = 100  # objects of one call
_CALLS = 4  # calls at once
_PAUSES = (0.2, 1.0)  # seconds before what was refused is sent again
_THE_OBJECTS_FAULT = re.compile(r"\binvalid .* property '")

Object = DataObject[dict[str, Any], None]
Collection = CollectionAsync[Any, Any]


class WeaviateIndex(FencedIndex):
    """The collection `HeadracePassage`, written while the fence's transaction is open.

    What a crash leaves half-written is written anew under the same ids.
    """

    index = "weaviate"
    transactional = False
    name = "index-weaviate"

    def __init__(self, settings: Settings, failpoints: Failpoints) -> None:
        super().__init__(connect(settings.postgres.get_secret_value()), failpoints)
        key = settings.weaviate_key.get_secret_value()
        self._weaviate = WeaviateConnection(settings.weaviate, settings.weaviate_grpc, key)

    async def open(self) -> None:
        """Make the collection where it is missing; raise `DependencyDown` while either server does not answer."""
        await super().open()
        await self._weaviate.create()

    async def close(self) -> None:
        """Disconnect from both servers."""
        await self._weaviate.close()
        await super().close()

    async def _delete(self, connection: AsyncConnection, admitted: Admission) -> None:
        passages, gate = await self._weaviate.passages(), asyncio.Semaphore(_CALLS)
        await _all(
            _forget(
                passages.with_tenant(drop.tenant),
                Filter.by_property("document_id").equal(drop.document)
                & Filter.by_property("revision").less_or_equal(drop.through),
            )
            for drop in admitted.drops
        )
        # What a server that died had half stored may be known by its id alone, and found by no filter.
        await _all(
            _erase(gate, passages.with_tenant(page.tenant), passage.id)
            for page in admitted.refused
            for passage in page.passages
        )

    async def _replace(self, connection: AsyncConnection, admitted: Admission) -> None:
        passages, gate = await self._weaviate.passages(), asyncio.Semaphore(_CALLS)
        tenants: dict[str, list[Page]] = defaultdict(list)
        for page in admitted.pages:
            tenants[page.tenant].append(page)
        objects = {
            tenant: [
                _anew(item) if page.place in admitted.suspects else item
                for page in own
                for item in (_object(page, passage) for passage in page.passages)
            ]
            for tenant, own in tenants.items()
        }
        await _all(
            _insert(gate, passages.with_tenant(tenant), own[start : start + _CALL])
            for tenant, own in objects.items()
            for start in range(0, len(own), _CALL)
        )
        # Weaviate (1.35) writes the graph's log out at the end of a call's storing, but before it has put the call's
        # vectors into the graph: what a call leaves in memory reaches the file with the next call.
        await _all(_insert(gate, passages.with_tenant(tenant), own[-1:]) for tenant, own in objects.items() if own)
        await _all(_forget(passages.with_tenant(tenant), _others(own)) for tenant, own in tenants.items())


async def _all(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run the calls together and wait for every one; raises what the first that failed raised."""
    async with bounded(_BATCH_SECONDS):
        ends = await asyncio.gather(*calls, return_exceptions=True)
    for end in ends:
        if end is not None:
            raise end


async def _insert(gate: asyncio.Semaphore, passages: Collection, objects: Sequence[Object]) -> None:
    """Store objects; those that are refused are sent again, twice, and no others.

    Raises `RecordError` where Weaviate finds fault with an object itself, `DependencyDown` for all other refusals (a
    tenant that is read-only, a full disk, vectors of another size): they are no record's fault, so records wait.
    """
    async with gate:
        for pause in (*_PAUSES, None):
            refused = await _refused(passages, objects)
            if not refused:
                return
            hopeless = [why for _, why in refused if _THE_OBJECTS_FAULT.search(why)]
            if hopeless and (pause is None or len(hopeless) == len(refused)):
                raise RecordError(f"Weaviate refuses {len(hopeless)} passages as invalid")
            if pause is None:
                raise DependencyDown(f"Weaviate refused {len(refused)} passages three times", retry_after=RETRY_AFTER)
            log.warning("Weaviate refused %d of %d passages; sending those again", len(refused), len(objects))
            objects = [_anew(item) for item, _ in refused]
            await asyncio.sleep(pause)


async def _refused(passages: Collection, objects: Sequence[Object]) -> list[tuple[Object, str]]:
    """Store objects once: those that Weaviate did not take, and why."""
    async with bounded():
        try:
            answer = await passages.data.insert_many(objects)
        except WeaviateInsertManyAllFailedError as error:
            return [(item, error.message) for item in objects]
    return [(objects[number], error.message) for number, error in answer.errors.items()]


async def _forget(passages: Collection, where: FilterReturn) -> None:
    """Delete what matches: one call takes ten thousand objects at most. A tenant that never was has none."""
    while True:
        async with bounded():
            try:
                done = await passages.data.delete_many(where)
            except WeaviateDeleteManyError as error:
                if absent(error):
                    return
                raise
        if done.failed:
            raise DependencyDown(f"Weaviate could not delete {done.failed} passages", retry_after=RETRY_AFTER)
        if not done.matches:
            return


async def _erase(gate: asyncio.Semaphore, passages: Collection, name: uuid.UUID) -> None:
    async with gate, bounded():
        try:
            await passages.data.delete_by_id(name)
        except UnexpectedStatusCodeError as error:
            if not absent(error):
                raise


def _others(pages: Sequence[Page]) -> FilterReturn:
    """What lies in the places of these pages and is none of their passages.

    Never more: a call whose end we did not learn may come after the next attempt has stored the passages again.
    """
    places = Filter.by_property("place").contains_any([page.place for page in pages])
    ids = [passage.id for page in pages for passage in page.passages]
    return places & Filter.by_id().contains_none(ids) if ids else places


def _anew(item: Object) -> Object:
    """The same passage with a vector of the same direction, but of another length.

    Weaviate does not index an object again whose vector it already has; where it was killed while it stored the
    object, that would leave it half indexed for good.
    """
    factor = 1 + (1 + secrets.randbelow(2**20)) / 2**24
    vector = [factor * number for number in cast(list[float], item.vector)]
    return DataObject(properties=item.properties, uuid=item.uuid, vector=vector)


def _object(page: Page, passage: Passage) -> Object:
    properties = {
        "text": passage.text,
        "document_id": page.document,
        "revision": page.revision,
        "place": page.place,
        "job": page.job,
        "run": page.run,
        "page": page.page,
        "chunk": passage.chunk,
        "plan": page.plan,
        "digest": page.digest,
        "language": passage.language,
        "box": [float(edge) for edge in passage.box or ()],
        "boxes": [float(edge) for box in passage.boxes for edge in box],
        "image_width": page.width,
        "image_height": page.height,
    }
    told = {name: value for name, value in properties.items() if value not in (None, [])}
    return DataObject(properties=told, uuid=passage.id, vector=passage.vector.tolist())

"""The Weaviate index: passages under their deterministic ids, each tenant's in a tenant of one collection."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from weaviate.classes.query import Filter
from weaviate.collections.classes.filters import FilterReturn
from weaviate.exceptions import WeaviateDeleteManyError

from schemas.errors import DependencyDown
from schemas.failpoints import Failpoints
from schemas.settings import Settings
from sinks.fenced_index import FencedIndex
from sinks.index_fence import Admission
from sinks.index_pages import Page
from sinks.postgres.engine import connect
from sinks.weaviate_client import RETRY_AFTER, WeaviateConnection, absent, bounded
from sinks.weaviate_objects import Collection, anew, erase, object_of, proved, store, together

_BATCH_SECONDS = 50.0  # PostgreSQL ends a transaction that was idle for 60, and with it the fence
_CALLS = 4  # calls at once


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
            erase(gate, passages.with_tenant(page.tenant), passage.id)
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
                anew(item) if page.place in admitted.suspects else item
                for page in own
                for item in (object_of(page, passage) for passage in page.passages)
            ]
            for tenant, own in tenants.items()
        }
        await _all(store(gate, passages.with_tenant(tenant), own) for tenant, own in objects.items() if own)
        await _all(
            call
            for tenant, own in tenants.items()
            for call in (
                proved(gate, passages.with_tenant(tenant), objects[tenant]),
                _forget(passages.with_tenant(tenant), _others(own)),
            )
        )


async def _all(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with bounded(_BATCH_SECONDS):
        await together(calls)


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


def _others(pages: Sequence[Page]) -> FilterReturn:
    """What lies in the places of these pages and is none of their passages.

    Never more: a call whose end we did not learn may come after the next attempt has stored the passages again.
    """
    places = Filter.by_property("place").contains_any([place for page in pages for place in page.places])
    ids = [passage.id for page in pages for passage in page.passages]
    return places & Filter.by_id().contains_none(ids) if ids else places

"""Passages as objects of Weaviate: how one is made, stored, stored anew and erased."""

import asyncio
import logging
import re
import secrets
import uuid
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, cast

from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter
from weaviate.collections import CollectionAsync
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInsertManyAllFailedError

from schemas.errors import DependencyDown, RecordError
from sinks.index_pages import DIMENSIONS, Page, Passage
from sinks.weaviate_client import RETRY_AFTER, absent, bounded

log = logging.getLogger(__name__)

_CALL = 100  # objects of one call
_SOMEWHERE = [1.0] + [0.0] * (DIMENSIONS - 1)
_PAUSES = (0.2, 1.0)  # seconds before what was refused is sent again
_THE_OBJECTS_FAULT = re.compile(r"\binvalid .* property '")

Object = DataObject[dict[str, Any], None]
Collection = CollectionAsync[Any, Any]


async def store(gate: asyncio.Semaphore, passages: Collection, objects: Sequence[Object]) -> None:
    """Store one tenant's objects, one at least; those that are refused are sent again, twice, and no others.

    What was stored is safe from a crash of the server once `proved` returns. Raises `RecordError` where Weaviate finds
    fault with an object itself, `DependencyDown` for all other refusals (a tenant that is read-only, a full disk,
    vectors of another size): they are no record's fault, so records wait.
    """
    await together(_insert(gate, passages, objects[start : start + _CALL]) for start in range(0, len(objects), _CALL))
    # Weaviate (1.35) writes the graph's log out at the end of a call's storing, but before it has put the call's
    # vectors into the graph: what a call leaves in memory reaches the file with the next call, if the server lives.
    await _insert(gate, passages, objects[-1:])


async def proved(gate: asyncio.Semaphore, passages: Collection, objects: Sequence[Object]) -> None:
    """Raise `DependencyDown` where what was stored is not found: the server was restarted between two calls.

    Neither call fails then, where this process slept meanwhile, and the graph's log lacks what the first one left in
    memory. Those objects are to be stored `anew`.
    """
    names = [cast(uuid.UUID, item.uuid) for item in objects]
    await together(_look(gate, passages, names[start : start + _CALL]) for start in range(0, len(names), _CALL))


async def findable(passages: Collection, names: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of these objects that a search by vector finds: of so few, Weaviate compares every one that it knows."""
    async with bounded():
        answer = await passages.query.near_vector(
            _SOMEWHERE, filters=Filter.by_id().contains_any(names), limit=len(names), return_properties=[]
        )
    return {item.uuid for item in answer.objects}


async def together(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run the calls at once and wait for every one; raises what the first that failed raised."""
    for end in await asyncio.gather(*calls, return_exceptions=True):
        if end is not None:
            raise end


async def _look(gate: asyncio.Semaphore, passages: Collection, names: Sequence[uuid.UUID]) -> None:
    async with gate:
        if not await findable(passages, names) >= set(names):
            raise DependencyDown("Weaviate was restarted and lost what it had confirmed", retry_after=RETRY_AFTER)


async def _insert(gate: asyncio.Semaphore, passages: Collection, objects: Sequence[Object]) -> None:
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
            objects = [anew(item) for item, _ in refused]
            await asyncio.sleep(pause)


async def _refused(passages: Collection, objects: Sequence[Object]) -> list[tuple[Object, str]]:
    """Store objects once: those that Weaviate did not take, and why."""
    async with bounded():
        try:
            answer = await passages.data.insert_many(objects)
        except WeaviateInsertManyAllFailedError as error:
            return [(item, error.message) for item in objects]
    return [(objects[number], error.message) for number, error in answer.errors.items()]


async def erase(gate: asyncio.Semaphore, passages: Collection, name: uuid.UUID) -> None:
    """Delete one object by its id, known or not."""
    async with gate, bounded():
        try:
            await passages.data.delete_by_id(name)
        except UnexpectedStatusCodeError as error:
            if not absent(error):
                raise


def anew(item: Object) -> Object:
    """The same passage with a vector of the same direction, but of another length.

    Weaviate does not index an object again whose vector it already has; where it was killed while it stored the
    object, that would leave it half indexed for good.
    """
    factor = 1 + (1 + secrets.randbelow(2**20)) / 2**24
    vector = [factor * number for number in cast(list[float], item.vector)]
    return DataObject(properties=item.properties, uuid=item.uuid, vector=vector)


def object_of(page: Page, passage: Passage) -> Object:
    """A passage as an object under the passage's own id."""
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

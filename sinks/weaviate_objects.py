"""Passages as objects of Weaviate: how one is made, stored, stored anew and erased."""

import asyncio
import logging
import re
import secrets
import uuid
from collections.abc import Sequence
from typing import Any, cast

from weaviate.classes.data import DataObject
from weaviate.collections import CollectionAsync
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInsertManyAllFailedError

from schemas.errors import DependencyDown, RecordError
from sinks.index_pages import Page, Passage
from sinks.weaviate_client import RETRY_AFTER, absent, bounded

log = logging.getLogger(__name__)

CALL = 100
"""Objects of one call."""
_PAUSES = (0.2, 1.0)  # seconds before what was refused is sent again
_THE_OBJECTS_FAULT = re.compile(r"\binvalid .* property '")

Object = DataObject[dict[str, Any], None]
Collection = CollectionAsync[Any, Any]


async def insert(gate: asyncio.Semaphore, passages: Collection, objects: Sequence[Object]) -> None:
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

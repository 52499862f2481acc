"""A connection to Weaviate: the one collection of passages, bounded calls, and what errors mean to a record."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import weaviate
from weaviate.classes.config import Configure, DataType, Property, StopwordsPreset, Tokenization, VectorDistances
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.collections import CollectionAsync
from weaviate.config import GrpcConfig
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateBaseError

from schemas.errors import DependencyDown

COLLECTION = "HeadracePassage"
RETRY_AFTER = 5.0
CALL_SECONDS = 10.0
"""The longest that one call may take: a server that hangs is known as down after it."""

# The client logs the objects that a server refused, and so the caller's documents.
logging.getLogger("weaviate-client").setLevel(logging.CRITICAL)
logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request

# gRPC waits ever longer, up to two minutes, before it looks again whether a server is back.
_CHANNEL = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1000)]


def _name(name: str, description: str, *, filterable: bool) -> Property:
    return Property(
        name=name,
        data_type=DataType.TEXT,
        description=description,
        tokenization=Tokenization.FIELD,
        index_filterable=filterable,
        index_searchable=False,
    )


def _plain(name: str, data_type: DataType, description: str, *, filterable: bool = False) -> Property:
    return Property(name=name, data_type=data_type, description=description, index_filterable=filterable)


_PROPERTIES = [
    Property(
        name="text",
        data_type=DataType.TEXT,
        description="The passage.",
        tokenization=Tokenization.WORD,  # words in small letters, as PostgreSQL's configuration `simple` cuts them
        index_filterable=False,
        index_searchable=True,
    ),
    _name("document_id", "The document, as its owner named it.", filterable=True),
    Property(
        name="revision",
        data_type=DataType.INT,
        description="The document's revision: microseconds since 1970.",
        index_filterable=False,
        index_range_filters=True,
    ),
    _plain("place", DataType.UUID, "The same for all that replace each other.", filterable=True),
    _name("job", "The job that made the passage.", filterable=True),
    _plain("run", DataType.INT, "The job's run."),
    _plain("page", DataType.INT, "The page, from 1.", filterable=True),
    _plain("chunk", DataType.INT, "The passage's number on its page, from 0."),
    _name("plan", "The hash of the pipeline as it ran.", filterable=False),
    _name("digest", "The digest of the model that made the vector.", filterable=False),
    _name("language", "ISO 639-1; empty where the passage does not tell.", filterable=True),
    _plain("box", DataType.NUMBER_ARRAY, "x0, y0, x1, y1 in pixels of the upright page, origin top left."),
    _plain("boxes", DataType.NUMBER_ARRAY, "Four numbers for each piece of the page that the passage is taken from."),
    _plain("image_width", DataType.INT, "Of the upright page, in pixels."),
    _plain("image_height", DataType.INT, "Of the upright page, in pixels."),
]


class WeaviateConnection:
    """A client that is connected by its first use, and again by the next one when that failed.

    `url` is `http(s)://host[:port]`; `grpc_address` is `host[:port]`, by default port 50051 of the same host; `key` is
    empty for anonymous access. Raises `ValueError` for a URL that is none.
    """

    def __init__(self, url: str, grpc_address: str = "", key: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("HEADRACE_WEAVIATE is no address of Weaviate: http://host:port or https://host:port")
        secure = parts.scheme == "https"
        other = urlsplit(f"//{grpc_address}")
        self._address: dict[str, Any] = {
            "http_host": parts.hostname,
            "http_port": parts.port or (443 if secure else 80),
            "http_secure": secure,
            "grpc_host": other.hostname or parts.hostname,
            "grpc_port": other.port or 50051,
            "grpc_secure": secure,
        }
        if (self._address["http_host"], self._address["http_port"]) == (
            self._address["grpc_host"], self._address["grpc_port"],
        ):  # fmt: skip
            raise ValueError("HEADRACE_WEAVIATE and HEADRACE_WEAVIATE_GRPC name the same port: gRPC has one of its own")
        self._key = key
        self._client: weaviate.WeaviateAsyncClient | None = None
        self._connecting = asyncio.Lock()

    async def client(self) -> weaviate.WeaviateAsyncClient:
        """The connected client; raises `DependencyDown`."""
        async with self._connecting:
            if self._client is None:
                self._client = await self._connected()
            return self._client

    async def passages(self) -> CollectionAsync[Any, Any]:
        """The collection; raises `DependencyDown`, but not where the collection is missing."""
        return (await self.client()).collections.use(COLLECTION)

    async def ping(self) -> None:
        """Return when the server answers; raise `DependencyDown` when it does not."""
        async with bounded():
            if not await (await self.client()).is_ready():
                raise DependencyDown("Weaviate is not ready", retry_after=RETRY_AFTER)

    async def create(self) -> None:
        """Make the collection where it is missing; raises `DependencyDown`, also for another one of that name."""
        async with bounded():
            collections = (await self.client()).collections
            if not await collections.exists(COLLECTION):
                with suppress(UnexpectedStatusCodeError):  # another process was faster, or what follows says more
                    await _create(collections)
            found = await collections.use(COLLECTION).config.get()
        kinds = {item.name: item.data_type for item in found.properties}
        ours = {item.name: item.dataType for item in _PROPERTIES}
        if not found.multi_tenancy_config.enabled or any(kinds.get(name) != kind for name, kind in ours.items()):
            raise DependencyDown(f"Weaviate's collection {COLLECTION} is not as this release makes it")

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _connected(self) -> weaviate.WeaviateAsyncClient:
        client = weaviate.use_async_with_custom(
            **self._address,
            auth_credentials=Auth.api_key(self._key) if self._key else None,
            additional_config=AdditionalConfig(
                timeout=Timeout(init=5, query=CALL_SECONDS, insert=CALL_SECONDS),
                grpc_config=GrpcConfig(channel_options=_CHANNEL),
            ),
            skip_init_checks=True,  # they ask PyPI for the client's newest version
        )
        try:
            async with bounded():
                await client.connect()
            _store_once(client)
        except BaseException:
            await client.close()
            raise
        return client


def _store_once(client: weaviate.WeaviateAsyncClient) -> None:
    """Keep the client from sending a batch again by itself: whether an end is in doubt is ours to know."""
    connection = client._connection  # there is no setting for it
    store = connection.grpc_batch_objects

    async def once(request: Any, timeout: float, max_retries: float) -> dict[int, str]:  # noqa: ASYNC109 its names
        return await store(request, timeout, -1)

    connection.grpc_batch_objects = once  # type: ignore[method-assign]


@asynccontextmanager
async def bounded(seconds: float = CALL_SECONDS) -> AsyncIterator[None]:
    """At most so long; raises `DependencyDown` for whatever Weaviate says or fails to say."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (WeaviateBaseError, httpx.HTTPError, TimeoutError, OSError) as error:
        raise DependencyDown(f"Weaviate does not answer ({type(error).__name__})", retry_after=RETRY_AFTER) from error


def absent(error: WeaviateBaseError) -> bool:
    """Whether Weaviate says that it has no such tenant, or no collection yet."""
    return "tenant not found" in error.message or "could not find class" in error.message


async def _create(collections: Any) -> None:
    await collections.create(
        COLLECTION,
        description="Passages of documents that Headrace has read.",
        properties=_PROPERTIES,
        vector_config=Configure.Vectors.self_provided(
            # Vectors as they are: the server's default may round them, and a score is to be the cosine.
            vector_index_config=Configure.VectorIndex.hnsw(
                distance_metric=VectorDistances.COSINE, quantizer=Configure.VectorIndex.Quantizer.none()
            )
        ),
        # A word of English is a word: PostgreSQL's `simple` drops none either.
        inverted_index_config=Configure.inverted_index(stopwords_preset=StopwordsPreset.NONE),
        multi_tenancy_config=Configure.multi_tenancy(auto_tenant_creation=True, auto_tenant_activation=True),
    )

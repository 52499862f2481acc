"""Questions to vectors, off the event loop: one thread, so that searches cannot starve the routes of CPU."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from schemas.errors import DependencyDown, ModelOutputInvalid
from schemas.ports import TextEmbedder

log = logging.getLogger(__name__)


class LazyEmbedder:
    """A `TextEmbedder` that is loaded by its first use, and again by the next one when that failed."""

    def __init__(self, load: Callable[[], TextEmbedder]) -> None:
        self._load = load
        self._loaded: TextEmbedder | None = None

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One L2-normalised vector a text (blocking, CPU)."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded.embed(texts)


class QueryEmbedder:
    """Embeds queries in one thread; `state` is `loading`, `ok` or `failed`."""

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._thread = ThreadPoolExecutor(1, "embedder")
        self.state = "loading"

    def start(self) -> None:
        """Begin to load the model; the socket does not wait for it, the first search does."""
        self._thread.submit(self._embed, "warm up").add_done_callback(self._started)

    async def embed(self, query: str) -> tuple[float, ...]:
        """The query's vector; raises `DependencyDown` while the model cannot be loaded or run."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._embed, query)

    def close(self) -> None:
        """Take no more queries."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _embed(self, query: str) -> tuple[float, ...]:
        try:
            [vector] = self._embedder.embed([query])
        except Exception as error:
            self.state = "failed"
            log.exception("the query could not be embedded")
            raise DependencyDown("the embedding model is not available", retry_after=5) from error
        if not all(map(math.isfinite, vector)):
            raise ModelOutputInvalid
        self.state = "ok"
        return vector

    def _started(self, future: object) -> None:
        log.info("embedding model: %s", self.state)

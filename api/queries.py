"""Texts to vectors, off the event loop: one thread, so that nobody's texts starve the routes of CPU."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from schemas.documents import EngineStamp
from schemas.errors import DependencyDown, ModelOutputInvalid, Overloaded
from schemas.ports import TextEmbedder

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_SEARCHES = 64  # that may wait for the thread, some milliseconds each
_REQUESTS = 16  # for embeddings; each has one slice in the queue, so a search stands behind so many at most


@dataclass(frozen=True, slots=True)
class Model:
    """What the embedding model is: how long its vectors are, and how many tokens of a text it reads."""

    stamp: EngineStamp
    dimensions: int
    max_tokens: int


class QueryEmbedder:
    """Embeds in one thread; `state` is `loading`, `ok` or `failed`.

    Every method raises `DependencyDown` while the model cannot be loaded or run.
    """

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self._thread = ThreadPoolExecutor(1, "embedder")
        self._searches = self._requests = 0
        self.state = "loading"

    def start(self) -> None:
        """Begin to load the model; the socket does not wait for it, the first search does."""
        self._thread.submit(self._vectors, ["warm up"]).add_done_callback(self._started)

    async def embed(self, query: str) -> tuple[float, ...]:
        """A search's vector; raises `Overloaded` when too many searches wait."""
        if self._searches >= _SEARCHES:
            raise Overloaded("too many searches wait for the model; try again", retry_after=1)
        self._searches += 1
        try:
            [vector] = await self.vectors([query])
        finally:
            self._searches -= 1
        return vector

    @contextmanager
    def request(self) -> Iterator[None]:
        """Room for one request of many texts; raises `Overloaded` when too many are under way."""
        if self._requests >= _REQUESTS:
            raise Overloaded("too many requests for embeddings are under way; try again", retry_after=1)
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def vectors(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One vector a text; give few at once, as others wait for the thread."""
        return await self._in_thread(lambda: self._vectors(texts))

    async def tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, before anything is cut off."""
        return await self._in_thread(lambda: self._attempt(lambda: self._embedder.count(texts)))

    async def model(self) -> Model:
        """What answers; known once it is loaded."""
        one = self._embedder
        return await self._in_thread(lambda: self._attempt(lambda: Model(one.stamp, one.dimensions, one.max_tokens)))

    def close(self) -> None:
        """Take no more texts."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _vectors(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        vectors = self._attempt(lambda: self._embedder.embed(texts))
        if not all(math.isfinite(number) for vector in vectors for number in vector):
            raise ModelOutputInvalid
        return vectors

    def _attempt(self, work: Callable[[], _T]) -> _T:
        try:
            done = work()
        except Exception as error:
            self.state = "failed"
            log.exception("the embedding model could not be used")
            raise DependencyDown("the embedding model is not available", retry_after=5) from error
        self.state = "ok"
        return done

    def _started(self, future: object) -> None:
        log.info("embedding model: %s", self.state)

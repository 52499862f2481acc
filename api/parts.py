"""What the routes are made of: ports and settings, put together once by the composition root."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from producers.lag import GroupLag
from schemas.ids import JobIds
from schemas.ports import BlobStore, JobReader, Publisher, TextEmbedder, VectorSearch
from schemas.settings import Settings


class LagReader(Protocol):
    """How far the groups are behind (blocking); raises `DependencyDown` when the log does not answer."""

    def read(self) -> Sequence[GroupLag]:
        """Every group and topic."""
        ...

    def dead_letters(self) -> int:
        """Records on the dead-letter topic."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything an API process holds. `closers` run when it ends, in order."""

    publisher: Publisher
    blobs: BlobStore
    jobs: JobReader
    search: VectorSearch
    embedder: TextEmbedder
    ids: JobIds
    settings: Settings
    lag: LagReader
    closers: tuple[Callable[[], Awaitable[None]], ...] = ()


def _parts(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]

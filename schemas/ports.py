"""The ports: what the house asks of the world. Each says whether it answers, by `ping()`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.documents import Claim
from schemas.jobs import JobResult, JobView, SearchHit
from schemas.records import Outgoing


class Pingable(Protocol):
    """Something that may be down."""

    async def ping(self) -> None:
        """Return when it answers; raise `DependencyDown` when it does not."""
        ...


class Publisher(Pingable, Protocol):
    """Puts records on topics."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return when the log has confirmed every record (`acks=all`); raise `LogUnavailable` otherwise."""
        ...


class BlobStore(Pingable, Protocol):
    """Bytes by key. What `put` and `write` return from is durable."""

    async def write(self, key: str, content: AsyncIterator[bytes], *, limit: int) -> Claim:
        """Stream `content` in, counting and hashing; raise `TooLarge` past `limit` bytes and keep nothing."""
        ...

    def put(self, key: str, content: bytes) -> Claim:
        """Store bytes at once (blocking)."""
        ...

    def read(self, claim: Claim) -> bytes:
        """The bytes of a claim (blocking), checked against its sha256; raises `DecodeFailed` or `BlobMissing`."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key; forgetting an unknown one is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A nearest-neighbour query: a vector of finite float32 values, L2-normalised."""

    vector: tuple[float, ...]
    limit: int
    document_id: str | None = None


class VectorSearch(Pingable, Protocol):
    """The reading half of a vector index."""

    async def search(self, tenant: str, passage: Passage) -> list[SearchHit]:
        """The nearest passages of one tenant, best first."""
        ...


class JobReader(Pingable, Protocol):
    """What the projector has written, as one tenant may see it."""

    async def job(self, tenant: str, job: str) -> JobView | None:
        """The job's view, or None where no row is (yet, or any more)."""
        ...

    async def result(self, tenant: str, job: str) -> JobResult | None:
        """The pages read so far, or None where no row is."""
        ...

    async def picture(self, tenant: str, job: str, page: int) -> Claim | None:
        """The upright picture of a page that was read, or None where there is none (yet)."""
        ...

    async def projected_through(self) -> datetime | None:
        """The low-water time: everything accepted before it is projected. None before the first projection."""
        ...


class TextEmbedder(Protocol):
    """Text to vector, for queries."""

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """One L2-normalised vector a text (blocking, CPU)."""
        ...

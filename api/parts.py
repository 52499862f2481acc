"""What the routes are made of: ports and settings, put together once by the composition root."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request

from api.auth.identities import KeyReader, Tokens
from api.quotas import UsageReader
from producers.lag import GroupLag
from schemas.control import LoadReport
from schemas.failpoints import Failpoints
from schemas.ids import JobIds
from schemas.ports import (
    BlobStore,
    JobReader,
    KeyStore,
    LetterReader,
    Publisher,
    Submissions,
    TextEmbedder,
    VectorSearch,
)
from schemas.settings import Settings
from schemas.webhook_ports import UrlCheck, WebhookSecrets, WebhookStore

if TYPE_CHECKING:  # its library takes as long to load as any, and few servers issue tokens
    from api.auth.own_tokens import OwnTokens


class LagReader(Protocol):
    """How far the groups are behind (blocking); raises `DependencyDown` when the log does not answer."""

    def read(self) -> Sequence[GroupLag]:
        """Every group and topic."""
        ...

    def dead_letters(self) -> int:
        """Records on the dead-letter topic."""
        ...

    def untaken(self) -> int:
        """Accepted jobs that the dispatcher has not taken over yet."""
        ...


class LoadReader(Protocol):
    """What the dispatcher reports of the load."""

    def start(self) -> None:
        """Begin to follow it."""
        ...

    def report(self) -> LoadReport | None:
        """The newest report, None where there is none."""
        ...


class ControlReader(KeyReader, UsageReader, Protocol):
    """What stands on `headrace.control` for an API process."""


class JobBell(Protocol):
    """Rings when there is news of a job. While `listening` is False it does not, and waiting needs a clock."""

    @property
    def listening(self) -> bool:
        """Whether bells ring now; whenever that begins (again), all of them do."""
        ...

    def start(self) -> None:
        """Begin to listen, inside the event loop."""
        ...

    def watch(self, job: str) -> AbstractContextManager[asyncio.Event]:
        """A bell for one job; whoever waits clears it first, then reads."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything an API process holds. `closers` run when it ends, in order."""

    publisher: Publisher
    blobs: BlobStore
    jobs: JobReader
    bell: JobBell
    search: VectorSearch
    embedder: TextEmbedder
    ids: JobIds
    settings: Settings
    lag: LagReader
    letters: LetterReader
    load: LoadReader
    keys: KeyStore
    entries: ControlReader
    submissions: Submissions
    webhooks: WebhookStore
    webhook_secrets: WebhookSecrets
    webhook_urls: UrlCheck
    failpoints: Failpoints = field(default_factory=lambda: Failpoints("", None))
    own_tokens: "OwnTokens | None" = None
    issuers: tuple[Tokens, ...] = ()
    closers: tuple[Callable[[], Awaitable[None]], ...] = ()


async def _parts(request: Request) -> Parts:  # not `def`, which FastAPI hands to a thread
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]

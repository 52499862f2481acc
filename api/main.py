"""The API's composition root: `python -m api.main --own-port PORT [--fd N] [--host HOST]`.

With `--fd` the process also serves an inherited listening socket, which it shares with its siblings: a client needs
one address, and an operator can still ask each process by itself on its own port.
"""

import argparse
import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx2
import uvicorn

from api.app import create_app
from api.auth.identities import Tokens
from api.parts import Parts
from api.slow_heads import HTTP
from api.streams import EventStreams
from producers import heap
from producers.key_view import KeyView
from producers.lag import LagSource
from producers.load import LoadView
from producers.publisher import KafkaPublisher
from schemas.failpoints import Failpoints
from schemas.ids import JobIds
from schemas.ports import VectorSearch
from schemas.settings import Settings

if TYPE_CHECKING:
    from api.auth.own_tokens import OwnTokens

_FIRST_REQUEST_ROUNDS = 20
_LEAST_LEASE = 5.0  # seconds beyond the longest publish, before a submission of the same key may take it over


class ClosableSearch(VectorSearch, Protocol):
    """A search with connections to let go."""

    async def close(self) -> None:
        """Let go."""
        ...


def connect(settings: Settings) -> Parts:
    """The adapters that `settings` name; none is contacted yet, so a dead dependency cannot stop the start."""
    from processors.engines import factory
    from sinks.blobs import open_blobs
    from sinks.postgres.keys import PostgresKeyStore
    from sinks.postgres.letter_reader import PostgresLetterReader
    from sinks.postgres.listener import JobListener
    from sinks.postgres.reader import PostgresJobReader
    from sinks.postgres.submissions import PostgresSubmissions
    from sinks.postgres.webhooks import PostgresWebhookStore
    from sinks.webhooks.egress import egress
    from sinks.webhooks.signing import signer

    database = settings.postgres.get_secret_value()
    jobs, bell, search = PostgresJobReader(database), JobListener(database), search_of(settings)
    publisher, entries = KafkaPublisher(settings.broker, settings.publish_seconds), KeyView(settings.broker)
    secrets = {number: secret.get_secret_value() for number, secret in settings.id_keys.items()}
    lag, letters, keys = LagSource(settings.broker), PostgresLetterReader(database), PostgresKeyStore(database)
    hooks, urls = PostgresWebhookStore(database), egress(settings)
    lease = settings.publish_seconds + _LEAST_LEASE
    issuers, closers = _issuers(settings)
    submissions = PostgresSubmissions(database, expiry_hours=settings.idempotency_hours, lease=lease)
    return Parts(
        publisher=publisher,
        blobs=open_blobs(settings.blobs),
        jobs=jobs,
        bell=bell,
        search=search,
        embedder=factory.embedder(settings),
        ids=JobIds(secrets),
        settings=settings,
        lag=lag,
        letters=letters,
        load=LoadView(settings.broker),
        keys=keys,
        entries=entries,
        submissions=submissions,
        webhooks=hooks,
        failpoints=Failpoints(settings.slot, settings.run_dir),
        webhook_secrets=signer(secrets),
        webhook_urls=urls,
        own_tokens=_own_tokens(settings.public_url, secrets, entries) if settings.public_url else None,
        issuers=issuers,
        closers=(
            publisher.close,
            bell.close,
            jobs.close,
            letters.close,
            keys.close,
            hooks.close,
            submissions.close,
            urls.close,
            *closers,
            search.close,
            partial(asyncio.to_thread, lag.close),
        ),
    )


def _own_tokens(url: str, secrets: Mapping[int, str], entries: KeyView) -> "OwnTokens":
    from api.auth.own_tokens import OwnTokens

    return OwnTokens(url, secrets, entries)


def _issuers(settings: Settings) -> tuple[tuple[Tokens, ...], tuple[Callable[[], Awaitable[None]], ...]]:
    """Those that settings trust, and what lets go of the way to their keys."""
    if not settings.issuers:
        return (), ()
    from api.auth.access_tokens import AccessTokens
    from api.auth.signing_keys import SigningKeys

    fetcher = httpx2.AsyncClient()
    return tuple(AccessTokens(issuer, SigningKeys(issuer, fetcher)) for issuer in settings.issuers), (fetcher.aclose,)


def search_of(settings: Settings) -> ClosableSearch:
    """The index that answers searches: the first of those required. Raises `ValueError` where it has no address."""
    if settings.indexes[0] == "pgvector":
        from sinks.pgvector_search import PgvectorSearch

        return PgvectorSearch(settings.postgres.get_secret_value())
    from sinks.weaviate_search import WeaviateSearch

    return WeaviateSearch(settings)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m api.main")
    parser.add_argument("--fd", type=int, help="an inherited listening socket, shared with other API processes")
    parser.add_argument("--own-port", type=int, required=True, help="a port of this process alone; 0 for any")
    parser.add_argument("--host", default="127.0.0.1", help="the address of the own port")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings()
    sockets = [_listen(options.host, options.own_port)]
    if options.fd is not None:
        sockets.append(socket.socket(fileno=options.fd))
    app = create_app(connect(settings))
    config = uvicorn.Config(
        app,
        **HTTP,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    _Server(config, settings, app.state.streams).run(sockets)


class _Server(uvicorn.Server):
    """Leaves the ready mark once it serves, and ends event streams before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, settings: Settings, streams: EventStreams) -> None:
        super().__init__(config)
        self._settings = settings
        self._streams = streams

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, then say so."""
        await super().startup(sockets)
        if self._settings.run_dir is not None:
            _mark(self._settings.run_dir / f"{self._settings.slot}.ready")
        heap.settle()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving; streams end by themselves, everything else may finish."""
        self._streams.end()
        for server in self.servers:
            server.close()
        await self._hear_out()
        await super().shutdown(sockets)

    async def _hear_out(self) -> None:
        """Wait, a second at most, for the first request of who has connected: uvicorn closes all that are silent."""
        for _ in range(_FIRST_REQUEST_ROUNDS):
            await asyncio.sleep(0.05)  # also: what was accepted a moment ago is a connection after this
            if all(getattr(connection, "cycle", self) for connection in self.server_state.connections):
                return


def _mark(path: Path) -> None:
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps({"pid": os.getpid(), "at": time.time()}))
    draft.replace(path)


def _listen(host: str, port: int) -> socket.socket:
    # Named as TCP: else asyncio leaves Nagle's algorithm on, and an answer's body waits 40 ms for its head's ACK.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


if __name__ == "__main__":
    main()

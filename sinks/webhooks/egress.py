"""The way out to addresses that callers chose: each attempt is judged, pinned to what was judged, and bounded.

What is connected to is an address, never a name that could resolve to another one by then; the name goes into `Host`,
SNI and the certificate's check.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpcore2

from schemas.destinations import Address, Destination, Destinations
from schemas.errors import DestinationRefused
from schemas.settings import Settings
from sinks.webhooks.wire import CONNECT_SECONDS, Heard, Route, Wire

log = logging.getLogger(__name__)
Failure = Literal["", "refused", "unresolved", "unreachable", "tls", "timeout", "broken"]
Resolver = Callable[[str], Iterable[Address]]
"""All addresses of a name, in the order to use them; blocks, in a thread. Raises OSError where there are none."""
REUSE_SECONDS = 5.0
"""How old the addresses of a name may become."""
_LOOKUPS = 256  # a thread that asks a dead name server is away for half a minute, whoever stopped waiting for it


@dataclass(slots=True)
class Answer:
    """What came of a request. `status` is None where no answer began; `body` its raw first bytes, at most 64 KiB.

    `error` is empty, or a stable word: `refused` (not permitted), `unresolved`, `unreachable`, `tls` (no handshake, or
    a certificate that is not the host's), `timeout`, `broken` (cut off, or no HTTP). Beside a `status` it says why
    the body is not whole. `retry_after` is the header as it came, `seconds` what all of it took.
    """

    status: int | None
    retry_after: str
    body: bytes
    error: str
    seconds: float


class _Unresolved(Exception):
    """The name has no address, or its name servers do not answer."""


class _Names:
    """Looks names up, one at a time: threads cannot be called off, and one owner must not take them all."""

    def __init__(self, threads: ThreadPoolExecutor, resolve: Resolver, clock: Callable[[], float]) -> None:
        self._threads = threads
        self._resolve = resolve
        self._clock = clock
        self._last: tuple[str, float, asyncio.Future[tuple[Address, ...]]] | None = None

    async def addresses(self, destination: Destination, seconds: float) -> tuple[Address, ...]:
        """All addresses, or none where they are not found within so many seconds."""
        if destination.literal is not None:
            return (destination.literal,)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._found(destination.host)
        return ()

    async def _found(self, host: str) -> tuple[Address, ...]:
        while self._last is not None:
            name, at, lookup = self._last
            if lookup.done():
                if name == host and self._clock() - at < REUSE_SECONDS and (found := _result(lookup)):
                    return found
                break
            await asyncio.wait({lookup})  # which, unlike awaiting it, does not end it where the waiting ends
        lookup = asyncio.get_running_loop().run_in_executor(self._threads, _looked_up, self._resolve, host)
        self._last = host, self._clock(), lookup
        await asyncio.wait({lookup})
        return _result(lookup)


class Session:
    """Requests to one endpoint, any number at once. Connections are kept for the next ones to the same address."""

    def __init__(
        self, destinations: Destinations, names: _Names, context: ssl.SSLContext, seconds: float,
        closed: Callable[["Session"], object],
    ) -> None:  # fmt: skip
        self._destinations = destinations
        self._names = names
        self._context = context
        self._seconds = seconds
        self._closed = closed
        self._open = True
        self._wire: Wire | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send, and read the answer, all of it within the egress's seconds. Raises nothing but CancelledError."""
        begun, heard, error = time.monotonic(), Heard(), ""
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(url, headers, body, heard)
        except Exception as fault:  # noqa: BLE001 whatever a receiver makes a library raise, the request has failed
            error = _word(fault, heard)
        return Answer(heard.status, heard.retry_after, bytes(heard.body), error, time.monotonic() - begun)

    async def close(self) -> None:
        """Let connections go, those with a request under way when it ends; none is kept from now on."""
        self._open = False
        self._closed(self)
        wire, self._wire = self._wire, None
        if wire is not None and not wire.users:
            await wire.close()

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes, heard: Heard) -> None:
        try:
            await self._attempt(url, headers, body, heard, fresh=False)
        except (httpcore2.NetworkError, httpcore2.RemoteProtocolError):
            # A peer may close a kept connection at any moment. What it had taken by then is sent to it twice.
            if heard.connecting or heard.status is not None:
                raise
            await self._attempt(url, headers, body, heard, fresh=True)

    async def _attempt(self, url: str, headers: Mapping[str, str], body: bytes, heard: Heard, *, fresh: bool) -> None:
        destination = self._destinations.parse(url)
        found = await self._names.addresses(destination, min(CONNECT_SECONDS, self._seconds))
        if not found:
            raise _Unresolved
        self._destinations.judge(destination, found)
        heard.resolved = True
        async with self._wired(self._route(destination, found), fresh=fresh) as wire:
            await wire.post(destination, headers, body, self._seconds, heard)

    def _route(self, destination: Destination, found: tuple[Address, ...]) -> Route:
        """To the address that connections are kept to, if it is still among those found; else to the first."""
        routes = [Route(destination.scheme, destination.host, destination.port, address) for address in found]
        return self._wire.route if self._wire and self._wire.route in routes else routes[0]

    @contextlib.asynccontextmanager
    async def _wired(self, route: Route, *, fresh: bool) -> AsyncIterator[Wire]:
        """Connections of the route, new ones where `fresh`; after a failure they serve nobody who comes later."""
        wire, before = self._wire, None
        if wire is None or wire.route != route or fresh:
            wire, before = Wire(route, self._context), wire
            self._wire = wire if self._open else None
        wire.users += 1
        try:
            if before is not None and not before.users:
                await before.close()
            yield wire
        except BaseException:
            self._wire = None if self._wire is wire else self._wire
            raise
        finally:
            wire.users -= 1
            if self._wire is not wire and not wire.users:
                await wire.close()


class Egress:
    """Sends webhooks to what `destinations` permits, each request within `seconds`.

    Certificates may be of an authority that this machine trusts, or of those in the PEM file `ca`; one that cannot be
    read raises OSError or `ssl.SSLError`. `resolve` and `clock` are for tests.
    """

    def __init__(
        self,
        destinations: Destinations,
        *,
        seconds: float = 15.0,
        ca: Path | None = None,
        resolve: Resolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destinations = destinations
        self._seconds = seconds
        self._resolve = resolve or _addresses_of
        self._clock = clock
        self._context = httpcore2.default_ssl_context()
        if ca is not None:
            self._context.load_verify_locations(cafile=ca)
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="webhook-names")
        self._sessions: set[Session] = set()

    def session(self) -> Session:
        """For one endpoint; whoever has it closes it when the endpoint is not sent to for long."""
        made = Session(self._destinations, self._names(), self._context, self._seconds, self._sessions.discard)
        self._sessions.add(made)
        return made

    async def check(self, url: str) -> None:
        """Raises `DestinationRefused` unless something might be sent there now; what is sent is judged again."""
        destination = self._destinations.parse(url)
        found = await self._names().addresses(destination, min(CONNECT_SECONDS, self._seconds))
        self._destinations.judge(destination, found)

    async def close(self) -> None:
        """Close all sessions, and wait for no lookup."""
        for session in tuple(self._sessions):
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _names(self) -> _Names:
        return _Names(self._threads, self._resolve, self._clock)


def egress(settings: Settings) -> Egress:
    """To where, and with what, settings say."""
    allowed = Destinations(tuple(map(ipaddress.ip_network, settings.webhook_allow)), frozenset(settings.webhook_ports))
    return Egress(allowed, seconds=settings.webhook_seconds, ca=settings.webhook_ca)


def _word(fault: Exception, heard: Heard) -> Failure:
    """The word for what went wrong."""
    match fault:
        case DestinationRefused():
            return "refused"
        case _Unresolved():
            return "unresolved"
        case TimeoutError() | httpcore2.TimeoutException():
            return "timeout" if heard.resolved else "unresolved"
        case httpcore2.ConnectError():
            return "tls" if heard.handshaking else "unreachable"
        case ssl.SSLError():  # a handshake of TLS 1.3 may be refused after it has ended on our side
            return "tls"
        case httpcore2.NetworkError() | httpcore2.ProtocolError():
            return "broken"
    log.error("a webhook was not sent: %s", type(fault).__name__)
    return "broken"


def _addresses_of(host: str) -> list[Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(each[4][0]) for each in found]


def _looked_up(resolve: Resolver, host: str) -> tuple[Address, ...]:
    try:
        return tuple(dict.fromkeys(resolve(host)))
    except (OSError, ValueError):
        return ()


def _result(lookup: "asyncio.Future[tuple[Address, ...]]") -> tuple[Address, ...]:
    return () if lookup.cancelled() else lookup.result()

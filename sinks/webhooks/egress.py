"""The way out to addresses that callers chose: each attempt is judged, pinned to what was judged, and bounded.

What is connected to is an address, never a name that could resolve to another one by then; the name goes into `Host`,
SNI and the certificate's check. Requests go through a bare transport, as a client would add what callers must not
steer: redirects, cookies, and proxies and passwords of this machine's environment.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import httpx2

from schemas.destinations import Address, Destination, Destinations, bracketed
from schemas.errors import DestinationRefused

log = logging.getLogger(__name__)
Failure = Literal["", "refused", "unresolved", "unreachable", "tls", "timeout", "broken"]
Resolver = Callable[[str], Iterable[Address]]
"""All addresses of a name, in the order to use them; blocks, in a thread. Raises OSError where there are none."""
MOST_BYTES = 64 * 1024
"""Of an answer's body; what is beyond is not read, and the connection closed."""
REUSE_SECONDS = 5.0
"""How old the addresses of a name may become."""
_CONNECT_SECONDS = 10.0
_KEPT_SECONDS = 30.0
_KEPT_CONNECTIONS = 8
_LOOKUPS = 256  # a thread that asks a dead name server is away for half a minute, whoever stopped waiting for it
_RETRY_AFTER_CHARACTERS = 64
_OURS = frozenset({"host", "accept-encoding", "content-length", "transfer-encoding", "connection", "te", "upgrade"})


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


class _Route(NamedTuple):
    scheme: str
    host: str
    port: int
    address: Address


class _Line:
    """Connections of one route, and how many requests are under way on them."""

    def __init__(self, route: _Route, context: ssl.SSLContext) -> None:
        kept = httpx2.Limits(max_keepalive_connections=_KEPT_CONNECTIONS, keepalive_expiry=_KEPT_SECONDS)
        self.route = route
        self.transport = httpx2.AsyncHTTPTransport(verify=context, trust_env=False, limits=kept)
        self.users = 0


@dataclass(slots=True)
class _Heard:
    """How far a request came, for when it goes no further. `stream` is the connection made for it, if any."""

    resolved: bool = False
    connecting: bool = False
    handshaking: bool = False
    status: int | None = None
    retry_after: str = ""
    body: bytearray = field(default_factory=bytearray)
    stream: Any = None

    async def trace(self, event: str, told: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self.stream = told["return_value"]
        self.connecting |= event == "connection.connect_tcp.started"
        self.handshaking |= event == "connection.start_tls.started"


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
        self._line: _Line | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send, and read the answer, all of it within the egress's seconds. Raises nothing but CancelledError."""
        begun, heard, error = time.monotonic(), _Heard(), ""
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
        line, self._line = self._line, None
        if line is not None and not line.users:
            await line.transport.aclose()

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes, heard: _Heard) -> None:
        try:
            await self._attempt(url, headers, body, heard, fresh=False)
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            # A peer may close a kept connection at any moment. What it had taken by then is sent to it twice.
            if heard.connecting or heard.status is not None:
                raise
            await self._attempt(url, headers, body, heard, fresh=True)

    async def _attempt(self, url: str, headers: Mapping[str, str], body: bytes, heard: _Heard, *, fresh: bool) -> None:
        destination = self._destinations.parse(url)
        found = await self._names.addresses(destination, min(_CONNECT_SECONDS, self._seconds))
        if not found:
            raise _Unresolved
        self._destinations.judge(destination, found)
        heard.resolved = True
        route = self._route(destination, found)
        request = _request(destination, route.address, headers, body, heard, self._seconds)
        async with self._on_line(route, fresh=fresh) as transport:
            await _exchange(transport, request, heard)

    def _route(self, destination: Destination, found: tuple[Address, ...]) -> _Route:
        """To the address that connections are kept to, if it is still among those found; else to the first."""
        routes = [_Route(destination.scheme, destination.host, destination.port, address) for address in found]
        return self._line.route if self._line and self._line.route in routes else routes[0]

    @contextlib.asynccontextmanager
    async def _on_line(self, route: _Route, *, fresh: bool) -> AsyncIterator[httpx2.AsyncHTTPTransport]:
        """Connections of the route, new ones where `fresh`; after a failure they serve nobody who comes later."""
        line, before = self._line, None
        if line is None or line.route != route or fresh:
            line, before = _Line(route, self._context), line
            self._line = line if self._open else None
        line.users += 1
        try:
            if before is not None and not before.users:
                await before.transport.aclose()
            yield line.transport
        except BaseException:
            self._line = None if self._line is line else self._line
            raise
        finally:
            line.users -= 1
            if self._line is not line and not line.users:
                await line.transport.aclose()


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
        self._context = httpx2.create_ssl_context()
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
        found = await self._names().addresses(destination, min(_CONNECT_SECONDS, self._seconds))
        self._destinations.judge(destination, found)

    async def close(self) -> None:
        """Close all sessions, and wait for no lookup."""
        for session in tuple(self._sessions):
            await session.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _names(self) -> _Names:
        return _Names(self._threads, self._resolve, self._clock)


def _request(
    destination: Destination, address: Address, headers: Mapping[str, str], body: bytes, heard: _Heard, seconds: float
) -> httpx2.Request:
    """The request to an address, as the one to the name; what frames it is ours to say."""
    ours = {"host": destination.authority, "accept-encoding": "identity"}
    return httpx2.Request(
        "POST",
        f"{destination.scheme}://{bracketed(address)}:{destination.port}/",
        headers={name: value for name, value in headers.items() if name.lower() not in _OURS} | ours,
        content=body,
        extensions={
            "target": destination.target.encode(),
            "sni_hostname": destination.host,
            "timeout": httpx2.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds)).as_dict(),
            "trace": heard.trace,
        },
    )


async def _exchange(transport: httpx2.AsyncHTTPTransport, request: httpx2.Request, heard: _Heard) -> None:
    try:
        answer = await transport.handle_async_request(request)
    except BaseException:
        # The library forgets a connection whose handshake is called off, and it would stay until the peer ends it.
        if heard.stream is not None:
            await heard.stream.aclose()
        raise
    try:
        heard.status = answer.status_code
        heard.retry_after = answer.headers.get("retry-after", "")[:_RETRY_AFTER_CHARACTERS]
        async with contextlib.aclosing(answer.aiter_raw()) as pieces:
            async for piece in pieces:
                heard.body += piece[: MOST_BYTES - len(heard.body)]
                if len(heard.body) == MOST_BYTES:
                    break
    finally:
        await answer.aclose()


def _word(fault: Exception, heard: _Heard) -> Failure:
    """The word for what went wrong."""
    match fault:
        case DestinationRefused():
            return "refused"
        case _Unresolved():
            return "unresolved"
        case TimeoutError() | httpx2.TimeoutException():
            return "timeout" if heard.resolved else "unresolved"
        case httpx2.ConnectError():
            return "tls" if heard.handshaking else "unreachable"
        case ssl.SSLError():  # a handshake of TLS 1.3 may be refused after it has ended on our side
            return "tls"
        case httpx2.HTTPError():
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

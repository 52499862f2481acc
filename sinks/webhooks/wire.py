"""Connections to one judged address. Of an answer only so much is read, in pieces between which others have a turn.

It is httpcore2, which httpx2 stands upon: there a connection's bytes can be counted, and nothing is added that callers
must not steer, such as redirects, cookies, and proxies or passwords of this machine's environment.
"""

# ruff: noqa: ASYNC109 `timeout` is what the library calls it

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import httpcore2

from schemas.destinations import Address, Destination

MOST_BYTES = 64 * 1024
"""Of an answer's body; what is beyond is not read, and the connection closed."""
CONNECT_SECONDS = 10.0
_MOST_READ = 2 * MOST_BYTES  # with head and framing, of which a receiver could send any number beside no body at all
_PIECE = 4096  # all that stands in a piece is parsed at one go: 64 KiB of tiny chunks take a third of a second
_KEPT_SECONDS = 30.0
_KEPT_CONNECTIONS = 8
_RETRY_AFTER_CHARACTERS = 64
_OURS = frozenset({"host", "accept-encoding", "content-length", "transfer-encoding", "connection", "te", "upgrade"})


class Route(NamedTuple):
    """What connections are kept for: the same host, at the same address."""

    scheme: str
    host: str
    port: int
    address: Address


@dataclass(slots=True)
class Heard:
    """How far a request came, for when it goes no further. `connecting`: it did not find a connection that was kept."""

    resolved: bool = False
    connecting: bool = False
    handshaking: bool = False
    status: int | None = None
    retry_after: str = ""
    body: bytearray = field(default_factory=bytearray)

    async def trace(self, event: str, _: Mapping[str, object]) -> None:
        """Called by the library with each of its steps."""
        self.connecting |= event == "connection.connect_tcp.started"
        self.handshaking |= event == "connection.start_tls.started"


class Wire:
    """Connections of one route, and how many requests are under way on them."""

    def __init__(self, route: Route, context: ssl.SSLContext) -> None:
        self.route = route
        self.users = 0
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=_Network(),
        )

    async def post(
        self, destination: Destination, headers: Mapping[str, str], body: bytes, seconds: float, heard: Heard
    ) -> None:
        """Send, and read into `heard`; what frames the request is ours to say. No wait is longer than `seconds`.

        Raises what httpcore2 does, and `ssl.SSLError` where a handshake is refused after it ended on our side.
        """
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                "POST",
                httpcore2.URL(
                    scheme=destination.scheme,
                    host=str(self.route.address),
                    port=destination.port,
                    target=destination.target,
                ),
                headers=_framed(destination, headers, body),
                content=body,
                extensions={
                    "sni_hostname": destination.host,
                    "timeout": {**dict.fromkeys(("read", "write"), seconds), "connect": min(CONNECT_SECONDS, seconds)},
                    "trace": heard.trace,
                },
            )
        )
        try:
            heard.status = answer.status
            heard.retry_after = _header(answer, b"retry-after")[:_RETRY_AFTER_CHARACTERS]
            async with contextlib.aclosing(answer.aiter_stream()) as pieces:
                async for piece in pieces:
                    heard.body += piece[: MOST_BYTES - len(heard.body)]
                    if len(heard.body) == MOST_BYTES:
                        break
        finally:
            await answer.aclose()

    async def close(self) -> None:
        """End all connections."""
        await self._pool.aclose()


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection on which an answer ends when it is too long."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner
        self._left = _MOST_READ

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await asyncio.sleep(0)  # what is there already is read without waiting
        piece = await self._inner.read(min(max_bytes, _PIECE), timeout)
        self._left -= len(piece)
        if self._left < 0:
            raise httpcore2.ReadError("more than an answer may have")
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._left = _MOST_READ
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            # The library forgets a connection whose handshake is called off: it would stay until the peer ends it.
            await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Network(httpcore2.AsyncNetworkBackend):
    def __init__(self) -> None:
        # Where anyio is missing the name stands for another class, which httpx2 keeps from being so.
        self._inner = cast(httpcore2.AsyncNetworkBackend, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:  # fmt: skip
        return _Stream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _framed(destination: Destination, headers: Mapping[str, str], body: bytes) -> list[tuple[str, str]]:
    theirs = [(name, value) for name, value in headers.items() if name.lower() not in _OURS]
    ours = [("host", destination.authority), ("accept-encoding", "identity"), ("content-length", str(len(body)))]
    return ours + theirs


def _header(answer: httpcore2.Response, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in answer.headers if name.lower() == wanted), "")

"""Servers that answer by a script, names that resolve by another, and an egress between them."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

from schemas.destinations import Address, Destinations
from sinks.webhooks.egress import Answer, Egress, Session

HOME = Destinations(allow=(ip_network("127.0.0.1"), ip_network("::1")))
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
EVERYWHERE = ("::" if socket.has_dualstack_ipv6() else "0.0.0.0", 0)
"""Every address of this machine, ::1 with them where it has any of IPv6."""
Script = Callable[["Server", asyncio.StreamWriter], Awaitable[object]]


class Server:
    """Reads requests and answers each by `script`; it counts connections, and keeps what it read."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.names: list[str | None] = []
        self.written = 0
        self.ended = asyncio.Event()
        self.port = 0
        self._under_way: set[asyncio.Task[None]] = set()

    def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._under_way.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                fields = [line.split(": ", 1) for line in head[1:-2]]
                headers = {name.lower(): value for name, value in fields}
                assert len(headers) == len(fields)
                self.requests.append((head[0], headers, await reader.readexactly(int(headers["content-length"]))))
                await self.script(self, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        self.ended.set()

    async def pour(self, writer: asyncio.StreamWriter, piece: bytes, pause: float) -> None:
        """Write for as long as it is taken, at most 1 GB."""
        while self.written < 1_000_000_000:
            writer.write(piece)
            await writer.drain()
            self.written += len(piece)
            await asyncio.sleep(pause)

    async def end(self) -> None:
        """Wait until all that met it have gone; what it did wrong is raised."""
        async with asyncio.timeout(30):
            await asyncio.gather(*self._under_way)


@contextlib.asynccontextmanager
async def serving(
    script: Script | bytes, tls: ssl.SSLContext | None = None, at: tuple[str, int] = ("0.0.0.0", 0)
) -> AsyncIterator[Server]:
    """A server, on every 127.x.x.x if not told where; bytes are what it answers to every request."""
    server = Server(saying(script) if isinstance(script, bytes) else script)
    if tls is not None:
        tls.sni_callback = lambda _, name, __: server.names.append(name)
    sixth = ":" in at[0]
    family = socket.AF_INET6 if sixth else socket.AF_INET
    listening = socket.create_server(at, family=family, dualstack_ipv6=sixth)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    async with await asyncio.start_server(server.met, sock=listening, ssl=tls) as accepting:
        server.port = listening.getsockname()[1]
        yield server
        accepting.close()
        await server.end()


def saying(*answers: bytes) -> Script:
    """Each request is answered by the next of them, and later ones by the last; b"" hangs up."""

    async def script(server: Server, writer: asyncio.StreamWriter) -> None:
        answer = answers[min(len(server.requests), len(answers)) - 1]
        writer.write(answer)
        if not answer:
            writer.close()
        await writer.drain()

    return script


def pouring(begin: bytes, piece: bytes, pause: float = 0) -> Script:
    """What begins and goes on for ever."""

    async def script(server: Server, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await server.pour(writer, piece, pause)

    return script


class Names:
    """Answers lookups, and counts them: each with the next list of addresses, later ones with the last."""

    def __init__(self, *found: Sequence[str]) -> None:
        self.found = found
        self.asked: list[str] = []
        self.now = 1000.0

    def __call__(self, host: str) -> list[Address]:
        self.asked.append(host)
        return [ip_address(address) for address in self.found[min(len(self.asked), len(self.found)) - 1]]


@contextlib.asynccontextmanager
async def sending(
    names: Names | None = None, destinations: Destinations = HOME, seconds: float = 20, ca: Path | None = None
) -> AsyncIterator[Egress]:
    """An egress whose names are all 127.0.0.1, or as told."""
    names = names or Names(["127.0.0.1"])
    egress = Egress(destinations, seconds=seconds, ca=ca, resolve=names, clock=lambda: names.now)
    try:
        yield egress
    finally:
        await egress.close()


async def post(session: Session, server: Server, host: str = "hook.example", scheme: str = "http") -> Answer:
    """Send a small body with a secret query to the server."""
    return await session.post(f"{scheme}://{host}:{server.port}/in?token=tell-nobody", {"webhook-id": "msg_1"}, b"{}")


async def answered(script: Script | bytes, seconds: float = 20) -> tuple[Answer, Server]:
    """What a request to such a server comes to."""
    async with serving(script) as server, sending(seconds=seconds) as egress:
        return await post(egress.session(), server), server

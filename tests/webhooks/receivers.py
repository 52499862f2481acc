"""Receivers of webhooks on real sockets: each path behaves as it is told, and remembers what came."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from schemas.webhooks import VERIFICATION

Behaviour = Callable[["Arrival", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Arrival:
    """A request as it came; `at` in monotonic seconds."""

    name: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])


@dataclass
class Receivers:
    """Behaviours by name (the path without its slash), and what came to each. Who is not `mute` tells codes back."""

    port: int = 0
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    mute: set[str] = field(default_factory=set)

    def url(self, name: str, behave: Behaviour) -> str:
        self.behaviours[name] = behave
        return f"http://127.0.0.1:{self.port}/{name}"

    def came(self, name: str) -> list[Arrival]:
        """What came to a receiver, challenges left out."""
        return [arrival for arrival in self.arrivals if arrival.name == name and arrival.type != VERIFICATION]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
                body = await reader.readexactly(int(headers["content-length"]))
                name = head[0].split(" ")[1].strip("/")
                arrival = Arrival(name, headers, body, time.monotonic())
                self.arrivals.append(arrival)
                if arrival.type == VERIFICATION and name not in self.mute:
                    code = json.loads(body)["data"]["code"]
                    await answering(200, json.dumps({"code": code}).encode())(arrival, writer)
                    continue
                await self.behaviours[name](arrival, writer)
        writer.close()


def answering(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer always so."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode()

    async def behave(_: Arrival, writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)
        await writer.drain()

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One after the other, then the last."""
    left = list(behaviours)

    async def behave(arrival: Arrival, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(arrival, writer)

    return behave


async def hanging(_: Arrival, __: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def drips(begun: bytes) -> Behaviour:
    """Go on with an answer that has begun so, a byte at a time, without an end."""

    async def behave(_: Arrival, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    return behave


dripping = drips(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
dripping_head = drips(b"HTTP/1.1 200 OK\r\nx: ")


async def cutting(_: Arrival, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receivers]:
    """Receivers while the block lasts."""
    receivers = Receivers()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await receivers.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receivers.port = server.sockets[0].getsockname()[1]
    try:
        yield receivers
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

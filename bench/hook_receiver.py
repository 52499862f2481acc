"""A receiver of webhooks as a process of its own: 204 to `/N`, silence to `/dead-N`; `/arrivals` says what came.

It prints its port, and ends with its standard input.
"""

import asyncio
import contextlib
import json
import os
import sys
import time

_WELL = b"HTTP/1.1 204 No Content\r\n\r\n"


class _Receiver:
    def __init__(self) -> None:
        self._arrivals: list[tuple[str, str, float]] = []
        self._never = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(head, reader, writer)
        writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *fields = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in fields)}
        await reader.readexactly(int(headers.get("content-length", 0)))
        name = line.split(" ")[1].strip("/")
        if name == "arrivals":
            told, self._arrivals = json.dumps(self._arrivals).encode(), []
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
        elif name.startswith("dead"):
            await self._never.wait()
        else:
            self._arrivals.append((name, headers["webhook-id"], time.monotonic()))
            writer.write(_WELL)
        await writer.drain()


async def _main() -> None:
    server = await asyncio.start_server(_Receiver().serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # whoever is kept waiting for an answer is let go without a word


if __name__ == "__main__":
    asyncio.run(_main())

"""The API on a real socket inside the test's own event loop, a job's story written by hand, and who follows it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2
import uvicorn

from api.app import create_app
from api.parts import Parts
from schemas.jobs import JobEvent
from tests.fakes import World

LONG = ("job.queued", "job.running", "document.prepared", "page.read", "page.succeeded", "job.succeeded")


def event(seq: int, kind: str, *, run: int = 1, page: int | None = None) -> JobEvent:
    return JobEvent.model_validate({"seq": seq, "event": kind, "run": run, "page": page, "at": datetime.now(UTC)})


def story(*kinds: str, begin: int = 1, run: int = 1) -> list[JobEvent]:
    return [event(number, kind, run=run) for number, kind in enumerate(kinds, begin)]


@dataclass
class Seen:
    """What a stream said: events in order, comments counted."""

    events: list[JobEvent] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    comments: int = 0
    retry: str = ""

    def line(self, line: str) -> None:
        name, _, value = line.partition(": ")
        match name:
            case "data":
                self.events.append(JobEvent.model_validate(json.loads(value)))
            case "id":
                self.ids.append(value)
            case "event":
                self.names.append(value)
            case "retry":
                self.retry = value
            case "":
                self.comments += bool(line)

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.events]


@asynccontextmanager
async def serving(parts: Parts) -> AsyncIterator[tuple[httpx2.AsyncClient, uvicorn.Server]]:
    """A caller of tenant demo at a served app, and the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what waits shall wait in us, not in the kernel
    app = create_app(parts)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve([listener]))
    headers = {"authorization": "Bearer demo-key"}
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False) as client:
            yield client, server
    finally:
        app.state.streams.end()
        server.should_exit = True
        await task
        listener.close()


async def follow(
    client: httpx2.AsyncClient, job: str, *, last: int | None = None, cut: int | None = None, **query: int
) -> Seen:
    """A stream to its end, or until `cut` events were seen."""
    seen = Seen()
    headers = {} if last is None else {"last-event-id": str(last)}
    async with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers, params=query) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            seen.line(line)
            if len(seen.ids) == cut:
                break
    return seen


async def within(seconds: float, condition: object, what: str) -> None:
    """Wait until `condition()` is true."""
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


@contextmanager
def asking(client: httpx2.AsyncClient, job: str) -> Iterator[socket.socket]:
    """A caller that has asked for a stream and takes nothing of it unless the test does; its connection is its own."""
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect((client.base_url.host, client.base_url.port))
        lines = (
            f"GET /v1/jobs/{job}/events HTTP/1.1",
            "Host: x",
            "Connection: close",
            "Authorization: Bearer demo-key",
        )
        caller.sendall("\r\n".join((*lines, "", "")).encode())
        yield caller


def job_of(world: World, *kinds: str) -> str:
    """A new job of tenant demo with this story."""
    job = world.ids.issue("demo")
    world.jobs.stories["demo", job] = story(*kinds)
    return job

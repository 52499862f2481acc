"""PostgreSQL killed while a caller follows a job: the stream stays open and goes on where it was."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from api import streams
from deploy.local import children, ports
from deploy.local.postgres import Postgres
from sinks.postgres.listener import JobListener
from sinks.postgres.reader import PostgresJobReader
from tests.api.followed import LONG, Seen, serving, within
from tests.api.stories import Scribe
from tests.fakes import World
from tests.sinks.databases import fresh


async def test_a_stream_outlives_the_database(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_HEARTBEAT", 0.2)
    monkeypatch.setattr(streams, "_POLL", 0.2)
    [port] = ports.free(1)
    server = Postgres(tmp_path / "postgres", port)
    process = await asyncio.to_thread(children.start, server)
    database = await asyncio.to_thread(fresh, server.url)
    reader, bell = PostgresJobReader(database.api), JobListener(database.api)
    parts = dataclasses.replace(world.parts(), jobs=reader, bell=bell, closers=(bell.close, reader.close))
    job, seen = world.ids.issue("demo"), Seen()
    try:
        async with Scribe(database.sink) as scribe:
            await scribe.job(job)
            await scribe.tell(job, LONG[:2])
        async with serving(parts) as (client, _), client.stream("GET", f"/v1/jobs/{job}/events") as response:

            async def listen() -> None:
                async for line in response.aiter_lines():
                    seen.line(line)

            listening = asyncio.create_task(listen())
            await within(5, lambda: seen.seqs == [1, 2] and bell.listening, "the story's begin is told")
            await asyncio.to_thread(children.end, [process], grace=0)
            await within(5, lambda: not bell.listening, "the loss is noticed")
            before = seen.comments
            await within(10, lambda: seen.comments >= before + 5, "comments go on")
            assert (await client.get(f"/v1/jobs/{job}")).status_code == 503
            process = await asyncio.to_thread(children.start, server)
            async with Scribe(database.sink) as scribe:
                await scribe.tell(job, LONG[2:], begin=3)
            await asyncio.wait_for(listening, 15)
            await within(15, lambda: bell.listening, "the listener is back")
    finally:
        await asyncio.to_thread(children.end, [process])
    assert seen.seqs == [1, 2, 3, 4, 5, 6]

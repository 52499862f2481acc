"""Following a job over real notifications: at any API process, over cuts, and over the loss of PostgreSQL's word."""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from api import streams
from api.parts import Parts
from schemas.broker import Broker
from schemas.ids import JobIds
from sinks.postgres.listener import JobListener
from sinks.postgres.reader import PostgresJobReader
from tests.api.followed import LONG, Seen, follow, serving, within
from tests.api.processes import KEY, apis
from tests.api.stories import Scribe
from tests.fakes import World
from tests.sinks.databases import Database, fresh, rows


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
async def scribe(database: Database) -> AsyncIterator[Scribe]:
    async with Scribe(database.sink) as scribe:
        yield scribe


@asynccontextmanager
async def reading(world: World, database: Database) -> AsyncIterator[tuple[Parts, JobListener]]:
    """The parts of an API process that reads the real database."""
    reader, bell = PostgresJobReader(database.api), JobListener(database.api)
    closers = (bell.close, reader.close)
    yield dataclasses.replace(world.parts(), jobs=reader, bell=bell, closers=closers), bell


async def hang_up(database: Database) -> None:
    """End the listeners' connections, as a restart of the server would."""
    query = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headrace-listener' "
        "AND datname = current_database()"
    )
    assert await rows(database.admin, query)


async def test_a_caller_cut_at_each_event_resumes_at_the_other_process_without_gap_or_repeat(
    database: Database, scribe: Scribe, kafka: Broker, tmp_path: Path
) -> None:
    job = JobIds({1: "secret"}).issue("demo")
    await scribe.job(job)
    seen = Seen()
    with apis(tmp_path, kafka.bootstrap, database.api, count=2) as (_, *urls):
        async with (
            httpx2.AsyncClient(base_url=urls[0], headers=KEY, timeout=20, trust_env=False) as here,
            httpx2.AsyncClient(base_url=urls[1], headers=KEY, timeout=20, trust_env=False) as there,
        ):
            for number, kind in enumerate(LONG):
                server = (here, there)[number % 2]
                last = seen.events[-1].seq if seen.events else None
                following = asyncio.create_task(follow(server, job, last=last, cut=1))
                if number % 3:  # sometimes the event is there before the caller, sometimes the caller waits for it
                    await asyncio.sleep(0.2)
                await scribe.tell(job, [kind], begin=number + 1)
                seen.events += (await asyncio.wait_for(following, 10)).events
            assert seen.seqs == [1, 2, 3, 4, 5, 6]
            assert [event.event for event in seen.events] == list(LONG)
            for server in (here, there):
                assert (await follow(server, job)).seqs == seen.seqs
                over = await server.get(f"/v1/jobs/{job}/events", headers={"last-event-id": "6"})
                assert over.status_code == 204


async def test_a_notification_wakes_the_stream_at_once(world: World, database: Database, scribe: Scribe) -> None:
    job = world.ids.issue("demo")
    async with reading(world, database) as (parts, bell), serving(parts) as (client, _):
        await within(5, lambda: bell.listening, "the listener listens")
        following = asyncio.create_task(follow(client, job))
        await within(5, lambda: bell.watched == 1, "the stream waits")
        await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
        await scribe.job(job)
        await scribe.tell(job, LONG)
        assert (await asyncio.wait_for(following, 5)).seqs == [1, 2, 3, 4, 5, 6]
        assert asyncio.get_running_loop().time() - begun < 0.5  # a clock would have taken up to a second


async def test_what_is_written_while_nobody_listens_is_told_when_the_listener_is_back(
    world: World, database: Database, scribe: Scribe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streams, "_POLL", 60.0)  # only the bell may wake the stream here
    monkeypatch.setattr(streams, "_HEARTBEAT", 60.0)
    job = world.ids.issue("demo")
    await scribe.job(job)
    async with reading(world, database) as (parts, bell), serving(parts) as (client, _):
        await within(5, lambda: bell.listening, "the listener listens")
        following = asyncio.create_task(follow(client, job))
        await within(5, lambda: bell.watched == 1, "the stream waits")
        await hang_up(database)
        await within(5, lambda: not bell.listening, "the connection's loss is noticed")
        await scribe.tell(job, LONG)
        with caplog.at_level(logging.CRITICAL):
            assert (await asyncio.wait_for(following, 10)).seqs == [1, 2, 3, 4, 5, 6]
        assert bell.listening


async def test_while_nobody_listens_streams_ask_by_the_clock(
    world: World, database: Database, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.postgres.bell._PAUSE", 60.0)  # it does not come back within this test
    job = world.ids.issue("demo")
    await scribe.job(job)
    async with reading(world, database) as (parts, bell), serving(parts) as (client, _):
        await within(5, lambda: bell.listening, "the listener listens")
        await hang_up(database)
        await within(5, lambda: not bell.listening, "the connection's loss is noticed")
        following = asyncio.create_task(follow(client, job))
        await within(5, lambda: bell.watched == 1, "the stream waits")
        await scribe.tell(job, LONG)
        assert (await asyncio.wait_for(following, 5)).seqs == [1, 2, 3, 4, 5, 6]


async def test_events_that_race_with_the_subscription_are_never_missed(
    world: World, database: Database, scribe: Scribe
) -> None:
    async with reading(world, database) as (parts, bell), serving(parts) as (client, _):
        await within(5, lambda: bell.listening, "the listener listens")
        for number in range(25):
            job = world.ids.issue("demo")
            await scribe.job(job)
            following = asyncio.create_task(follow(client, job))
            await asyncio.sleep(number / 2000)  # the first event falls before, into and behind the stream's first read
            for seq, kind in enumerate(LONG, 1):
                await scribe.tell(job, [kind], begin=seq)
            assert (await asyncio.wait_for(following, 3)).seqs == [1, 2, 3, 4, 5, 6]
        assert bell.watched == 0


async def test_a_tenant_reads_its_own_stories_alone(world: World, database: Database, scribe: Scribe) -> None:
    job = world.ids.issue("demo")
    await scribe.job(job)
    await scribe.tell(job, LONG)
    async with reading(world, database) as (parts, _):
        assert len(await parts.jobs.events("demo", job, 0, 100)) == 6
        assert await parts.jobs.events("other", job, 0, 100) == []
        await parts.jobs.close()  # type: ignore[attr-defined]

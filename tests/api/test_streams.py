"""A job's event stream: what it says, how it is resumed, how it ends, and what it costs while nothing happens."""

import asyncio
import statistics
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from api import streams
from schemas.control import LaneLoad, LoadReport
from schemas.jobs import JobEvent
from tests.api.followed import LONG, asking, event, follow, job_of, serving, story, within
from tests.fakes import World


async def gauge(client: httpx2.AsyncClient) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return float(next(line for line in lines if line.startswith("headrace_api_streams ")).split()[1])


async def test_a_story_is_told_from_its_first_event_and_closes_behind_the_end(world: World) -> None:
    job = job_of(world, *LONG)
    async with serving(world.parts()) as (client, _):
        seen = await follow(client, job)
        response = await client.get(f"/v1/jobs/{job}/events", headers={"last-event-id": "3"})
    assert seen.seqs == [1, 2, 3, 4, 5, 6]
    assert seen.ids == [str(number) for number in seen.seqs]
    assert seen.names == [event.event for event in seen.events] == list(LONG)
    assert int(seen.retry) > 0
    assert response.headers["content-type"].startswith("text/event-stream")
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-store", "no")


@pytest.mark.parametrize("last", range(6))
async def test_a_caller_resumes_behind_any_event_by_header_or_by_query(world: World, last: int) -> None:
    job = job_of(world, *LONG)
    async with serving(world.parts()) as (client, _):
        assert (await follow(client, job, last=last)).seqs == list(range(last + 1, 7))
        assert (await follow(client, job, after=last)).seqs == list(range(last + 1, 7))
        assert (await follow(client, job, last=last, after=1)).seqs == list(range(last + 1, 7))


async def test_whoever_has_seen_the_end_gets_204_and_an_event_source_stops(
    world: World, client: httpx2.AsyncClient
) -> None:
    job = job_of(world, *LONG)
    response = await client.get(f"/v1/jobs/{job}/events", headers={"last-event-id": "6"})
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize(("number", "status"), [("7", 400), ("-1", 422), ("x", 422), ("9" * 30, 422), ("", 422)])
async def test_a_number_that_is_no_event_of_the_job_is_refused(
    world: World, client: httpx2.AsyncClient, number: str, status: int
) -> None:
    job = job_of(world, *LONG)
    response = await client.get(f"/v1/jobs/{job}/events", headers={"last-event-id": number})
    assert response.status_code == status, response.text


async def test_an_end_that_a_later_run_overtook_does_not_close_the_stream(world: World) -> None:
    job = job_of(world, "job.queued", "job.failed")
    world.jobs.stories["demo", job] += story("job.queued", "job.succeeded", begin=3, run=2)
    async with serving(world.parts()) as (client, _):
        assert (await follow(client, job)).seqs == [1, 2, 3, 4]


async def test_a_retry_is_followed_before_it_is_projected_by_naming_its_run(world: World) -> None:
    job = job_of(world, "job.queued", "job.failed")
    async with serving(world.parts()) as (client, _):
        following = asyncio.create_task(follow(client, job, last=2, run=2))
        await within(5, lambda: world.bell.bells, "the stream waits")
        world.jobs.stories["demo", job] += story("job.queued", "job.succeeded", begin=3, run=2)
        world.bell.ring()
        assert (await following).seqs == [3, 4]


async def test_an_event_is_told_when_the_bell_rings_and_not_by_the_clock(world: World) -> None:
    job = job_of(world)
    async with serving(world.parts()) as (client, _):
        following = asyncio.create_task(follow(client, job))
        for number, kind in enumerate(LONG, 1):
            await within(5, lambda: world.bell.bells, "the stream waits")
            world.jobs.stories["demo", job].append(event(number, kind))
            world.bell.ring()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert (await following).seqs == [1, 2, 3, 4, 5, 6]
        assert loop.time() - begun < 1


async def test_an_event_is_told_at_once_while_submissions_are_refused_in_a_row(world: World) -> None:
    job = job_of(world)
    world.load.newest = LoadReport(at=datetime.now(UTC), bulk=LaneLoad(waiting={"demo": 10**6}), pages_per_second=1)
    loop = asyncio.get_running_loop()
    late: list[float] = []
    async with serving(world.parts()) as (client, _):

        async def flood() -> None:
            while len(late) < len(LONG):
                assert (await client.post("/v1/jobs", files={"file": ("a.pdf", bytes(100_000))})).status_code == 429

        callers = [asyncio.create_task(flood()) for _ in range(8)]
        async with client.stream("GET", f"/v1/jobs/{job}/events") as response:
            lines = response.aiter_lines()
            for number, kind in enumerate(LONG, 1):
                await within(5, lambda: world.bell.bells, "the stream waits")
                world.jobs.stories["demo", job].append(event(number, kind))
                world.bell.ring()
                begun = loop.time()
                while not (await anext(lines)).startswith("data"):
                    pass
                late.append(loop.time() - begun)
        await asyncio.gather(*callers)
    assert statistics.median(late) < 1


async def test_an_event_written_while_the_stream_reads_is_told_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_HEARTBEAT", 60.0)
    job = job_of(world)
    told, ask = iter(enumerate(LONG, 1)), world.jobs.events

    async def raced(tenant: str, asked: str, after: int, limit: int) -> list[JobEvent]:
        found = await ask(tenant, asked, after, limit)
        if len(world.bell.bells) == 1 and (following := next(told, None)) is not None:
            world.jobs.stories["demo", job].append(event(*following))  # behind what this very read sees
            world.bell.ring()
        return found

    monkeypatch.setattr(world.jobs, "events", raced)
    async with serving(world.parts()) as (client, _):
        assert (await asyncio.wait_for(follow(client, job), 5)).seqs == [1, 2, 3, 4, 5, 6]


async def test_without_a_bell_the_stream_asks_by_the_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_POLL", 0.05)
    job = job_of(world)
    world.bell.listening = False
    async with serving(world.parts()) as (client, _):
        following = asyncio.create_task(follow(client, job))
        await within(5, lambda: world.bell.bells, "the stream waits")
        world.jobs.stories["demo", job] = story(*LONG)
        assert (await asyncio.wait_for(following, 5)).seqs == [1, 2, 3, 4, 5, 6]


async def test_heartbeats_come_while_nothing_happens_and_while_the_database_is_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_HEARTBEAT", 0.05)
    monkeypatch.setattr(streams, "_POLL", 0.05)
    job = job_of(world, "job.queued")
    seen = streams_comments = 0
    async with (
        serving(world.parts()) as (client, _),
        client.stream("GET", f"/v1/jobs/{job}/events") as response,
    ):
        lines = response.aiter_lines()
        async for line in lines:
            streams_comments += line.startswith(":")
            if streams_comments == 3:
                world.jobs.down = True
            if streams_comments == 6:
                world.jobs.stories["demo", job] = story(*LONG)
                world.jobs.down = False
            seen += line.startswith("data")
    assert seen == 6


async def test_a_job_that_is_not_projected_yet_is_waited_for(world: World) -> None:
    job = world.ids.issue("demo")
    async with serving(world.parts()) as (client, _):
        following = asyncio.create_task(follow(client, job))
        await within(5, lambda: world.bell.bells, "the stream waits")
        world.jobs.stories["demo", job] = story(*LONG)
        world.bell.ring()
        assert (await following).seqs == [1, 2, 3, 4, 5, 6]


async def test_foreign_gone_and_unreadable_jobs_have_no_stream(world: World, client: httpx2.AsyncClient) -> None:
    job = job_of(world, *LONG)
    foreign = await client.get(f"/v1/jobs/{job}/events", headers={"authorization": "Bearer other-key"})
    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    world.jobs.through = datetime.now(UTC)
    old = world.ids.issue("demo", at=(datetime.now(UTC) - timedelta(hours=1)).timestamp())
    gone = await client.get(f"/v1/jobs/{old}/events")
    assert (gone.status_code, gone.json()["code"]) == (410, "gone")
    world.jobs.down = True
    down = await client.get(f"/v1/jobs/{job}/events")
    assert (down.status_code, down.json()["code"]) == (503, "dependency_down")


async def test_beyond_the_limit_of_streams_a_caller_is_asked_to_come_back(world: World) -> None:
    world.max_streams = 2
    job = job_of(world, "job.queued")
    async with serving(world.parts()) as (client, _):
        followers = [asyncio.create_task(follow(client, job)) for _ in range(2)]
        await within(5, lambda: len(world.bell.bells) == 2, "both streams wait")
        refused = await client.get(f"/v1/jobs/{job}/events")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert await gauge(client) == 2
        world.jobs.stories["demo", job] = story(*LONG)
        world.bell.ring()
        await asyncio.gather(*followers)
        assert await gauge(client) == 0
        assert (await follow(client, job)).seqs == [1, 2, 3, 4, 5, 6]


async def test_a_caller_that_goes_away_frees_everything_at_once(world: World) -> None:
    job = job_of(world, "job.queued")
    async with serving(world.parts()) as (client, server):
        await client.get("/livez")
        before = len(asyncio.all_tasks())
        followers = [asyncio.create_task(follow(client, job)) for _ in range(5)]
        await within(5, lambda: len(world.bell.bells) == 5, "the streams wait")
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
        await within(2, lambda: not world.bell.bells, "no bell is left")
        await within(2, lambda: not server.server_state.tasks, "no request is left")
        await within(2, lambda: len(asyncio.all_tasks()) <= before, "no task is left")
        assert await gauge(client) == 0


async def test_a_slow_caller_holds_a_few_batches_and_misses_nothing(world: World) -> None:
    job = job_of(world, *["page.read"] * 5_000, "job.succeeded")
    async with serving(world.parts()) as (client, _):
        with asking(client, job) as slow:
            await within(5, lambda: world.bell.bells, "the stream has begun")
            reads = -1
            while reads != world.jobs.story_reads:  # until nothing more is pulled
                reads = world.jobs.story_reads
                await asyncio.sleep(0.2)
            assert reads * streams._BATCH < 3_000
            taken = await asyncio.to_thread(lambda: b"".join(iter(lambda: slow.recv(1 << 20), b"")))
    assert taken.count(b"\nid: ") == 5_001


async def test_a_caller_that_takes_nothing_for_long_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_SEND_SECONDS", 0.2)
    job = job_of(world, *["page.read"] * 5_000)
    async with serving(world.parts()) as (client, _):
        with asking(client, job):
            await within(5, lambda: world.bell.bells, "the stream has begun")
            await within(5, lambda: not world.bell.bells, "the stream is freed")
            assert await gauge(client) == 0


async def test_when_the_process_is_to_end_its_streams_end_first(world: World) -> None:
    job = job_of(world, "job.queued")
    async with serving(world.parts()) as (client, server):
        following = asyncio.create_task(follow(client, job))
        await within(5, lambda: world.bell.bells, "the stream waits")
        server.config.loaded_app.app.state.streams.end()
        assert (await asyncio.wait_for(following, 2)).seqs == [1]
        refused = await client.get(f"/v1/jobs/{job}/events")
        assert refused.status_code == 503


async def test_a_long_stream_does_not_count_as_a_slow_request(world: World) -> None:
    job = job_of(world, "job.queued")
    async with serving(world.parts()) as (client, _):
        following = asyncio.create_task(follow(client, job))
        await within(5, lambda: world.bell.bells, "the stream waits")
        await asyncio.sleep(0.3)
        world.jobs.stories["demo", job] = story(*LONG)
        world.bell.ring()
        await following
        text = (await client.get("/metrics")).text
    [total] = [
        line for line in text.splitlines() if line.startswith("headrace_api_request_seconds_sum") and "/events" in line
    ]
    assert float(total.split()[1]) < 0.25

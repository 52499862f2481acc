"""Prefer, Cancel-After and If-None-Match: how long a caller waits, when work is given up, what is not sent again."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.etags import is_known
from api.preferences import MOST_SECONDS, cancel_after, wait_seconds
from schemas.codec import decode
from schemas.errors import BadRequest
from schemas.jobs import JobState, JobView
from schemas.records import Partition, Record
from tests.api.followed import LONG, job_of, serving, story
from tests.fakes import World

FILE = {"file": ("a.txt", b"words enough")}


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10), ("WAIT=10", 10), ('wait="10"', 10), ("respond-async, wait=5", 5), ("wait=7;x=y", 7),
        ("wait=0", 0), ("wait=61", MOST_SECONDS), ("wait=999999999", MOST_SECONDS), ("wait=3, wait=9", 3),
        ("", None), ("wait", None), ("wait=", None), ("wait=-1", None), ("wait=1.5", None), ("wait=ten", None),
        ("waiting=10", None), ("respond-async", None), ("wait=٣", None), (",,,", None), ('a="b', None),
    ],
)  # fmt: skip
def test_what_a_caller_prefers_is_read_as_rfc_7240_says(prefer: str, seconds: int | None) -> None:
    assert wait_seconds(prefer) == seconds


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90", 90), ("90s", 90), ("1m30s", 90), ("1m", 60), ("2h", 7200), ("1h1m1s", 3661), (" 5s ", 5)],
)
def test_a_span_is_read_in_every_form(given: str, seconds: float) -> None:
    assert cancel_after(given, 1e6) == seconds


@pytest.mark.parametrize(
    "given", ["", "0", "0s", "-5", "1.5s", "5 s", "1d", "s", "1s1m", "1h30", "٣", "ten", "720h1s", "9" * 40]
)
def test_what_is_no_span_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(BadRequest, match="1m30s"):
        cancel_after(given, 30 * 24 * 3600)


@given(st.text(max_size=200))
def test_no_header_is_an_error_of_ours(text: str) -> None:
    assert wait_seconds(text) in (None, *range(MOST_SECONDS + 1))
    is_known(text, "tag")
    with suppress(BadRequest):
        cancel_after(text, 1e6)


async def _ends(world: World, after: float, state: JobState = JobState.SUCCEEDED) -> None:
    """The job that is submitted next ends after so long, as the projector would tell."""
    while not world.publisher.published:
        await asyncio.sleep(0.01)
    await asyncio.sleep(after)
    job = world.publisher.published[0].key.decode()
    world.jobs.views["demo", job] = JobView(id=job, state=state, pages_total=1, pages_done=1)
    world.jobs.stories["demo", job] = story(*LONG)
    world.bell.ring()


async def test_a_caller_that_waits_gets_the_job_as_it_ended(world: World) -> None:
    async with serving(world.parts()) as (client, _):
        ending = asyncio.create_task(_ends(world, 0.1))
        answer = await client.post("/v1/jobs", files=FILE, headers={"prefer": "wait=20"})
        await ending
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=20")
    told = answer.json()
    assert (told["state"], told["pages_done"]) == ("succeeded", 1)
    assert answer.headers["location"] == f"/v1/jobs/{told['id']}"


@pytest.mark.parametrize("away", [False, True])
async def test_a_job_that_does_not_end_in_time_is_202_whatever_is_away(world: World, *, away: bool) -> None:
    world.jobs.down = away
    begun = time.monotonic()
    async with serving(world.parts()) as (client, _):
        answer = await client.post("/v1/jobs", files=FILE, headers={"prefer": "wait=1"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=1"
    assert time.monotonic() - begun >= 1


async def test_who_waits_counts_as_a_stream_and_where_there_are_too_many_nobody_waits(world: World) -> None:
    world.max_streams = 1
    async with serving(world.parts()) as (client, _):
        ending = asyncio.create_task(_ends(world, 0.3))
        first = asyncio.create_task(client.post("/v1/jobs", files=FILE, headers={"prefer": "wait=20"}))
        while "headrace_api_streams 1.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(0.01)
        second = await client.post("/v1/jobs", files=FILE, headers={"prefer": "wait=20"})
        assert second.status_code == 202
        assert (await first).status_code == 200
        await ending
        assert "headrace_api_streams 0.0" in (await client.get("/metrics")).text


async def test_cancel_after_is_the_job_s_deadline(world: World, client: httpx2.AsyncClient) -> None:
    await client.post("/v1/jobs", files=FILE, headers={"cancel-after": "1m30s"})
    [sent] = world.publisher.published
    envelope, _ = decode(Record(Partition(sent.topic, 0), 0, 0, sent.key, sent.value, sent.headers, 0))
    assert envelope.deadline is not None
    assert envelope.deadline - envelope.at == timedelta(seconds=90)
    both = await client.post("/v1/jobs", files=FILE, data={"deadline_seconds": "5"}, headers={"cancel-after": "1m30s"})
    assert (both.status_code, both.json()["code"]) == (400, "bad_request")
    refused = await client.post("/v1/jobs", files=FILE, headers={"cancel-after": "soon"})
    assert refused.status_code == 400
    assert len(world.publisher.published) == 1
    assert len(world.blobs.kept) == 1, "what was refused is not kept"


async def test_a_job_that_did_not_change_is_not_sent_again(world: World, client: httpx2.AsyncClient) -> None:
    job = job_of(world, *LONG)
    view = JobView(id=job, state=JobState.RUNNING, pages_total=2)
    world.jobs.views["demo", job] = view
    first = await client.get(f"/v1/jobs/{job}")
    tag = first.headers["etag"]
    assert (first.status_code, tag[:3]) == (200, 'W/"')
    world.jobs.views["demo", job] = view.model_copy(update={"projected_through": datetime.now(UTC)})
    for named in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await client.get(f"/v1/jobs/{job}", headers={"if-none-match": named})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), named
    world.jobs.views["demo", job] = view.model_copy(update={"pages_done": 1})
    changed = await client.get(f"/v1/jobs/{job}", headers={"if-none-match": tag})
    assert (changed.status_code, changed.json()["pages_done"]) == (200, 1)
    other = await client.get(f"/v1/jobs/{job}", headers={"authorization": "Bearer other-key", "if-none-match": "*"})
    assert other.status_code == 404

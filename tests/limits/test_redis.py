"""Limits that all API processes count together, in a real Redis, and what becomes of them without it."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import redis

from api.app import create_app
from api.auth import limiting
from api.auth.identity import Identity
from api.auth.limiting import Limiter
from deploy.local import ports
from schemas.limits import Limits, NewLimits
from tests.fakes import World
from tests.limits.test_doors import api
from tests.support import until

pytestmark = pytest.mark.needs("redis-server")
WHO = Identity("demo", frozenset(), "a test")


@contextmanager
def running(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A real server without anything in it."""
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--requirepass", "pw"]
    with (folder / "redis.log").open("ab") as log, subprocess.Popen(["redis-server", *arguments], stdout=log) as server:
        try:
            until(lambda: _answers(port), 20, "Redis answers")
            yield server
        finally:
            server.kill()


def _answers(port: int) -> bool:
    try:
        return bool(redis.Redis(port=port, password="pw").ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, int]:
    return tmp_path, ports.free(1)[0]


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's Redis is not away."""
    monkeypatch.setattr(limiting, "_PATIENCE", 30.0)


@asynccontextmanager
async def limiters(count: int, port: int, limits: Limits) -> AsyncIterator[list[Limiter]]:
    """What so many API processes hold."""
    made = [Limiter(limits, {}, f"redis://:pw@127.0.0.1:{port}/0") for _ in range(count)]
    try:
        yield made
    finally:
        for limiter in made:
            await limiter.close()


@pytest.mark.usefixtures("patience")
async def test_all_processes_together_let_in_no_more_than_the_limit(place: tuple[Path, int]) -> None:
    with running(*place):
        async with limiters(4, place[1], Limits(requests="20/hour", bytes="1000/hour")) as all_of_them:
            spent = await asyncio.gather(*(one.spend(WHO, "requests") for one in all_of_them for _ in range(10)))
            assert sum(each.refusal is None for each in spent) == 20
            assert not any(one.away for one in all_of_them)
            sizes = await asyncio.gather(*(one.spend(WHO, "bytes", 300) for one in all_of_them))
            assert sum(each.refusal is None for each in sizes) == 3
            [use] = (await all_of_them[0].spend(WHO, "bytes", 300)).uses
            assert use.told.startswith('"bytes";r=100;t=')


@pytest.mark.usefixtures("patience")
async def test_a_redis_that_is_killed_stops_no_request_and_is_used_again_when_it_is_back(
    place: tuple[Path, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limiting, "_AWAY_SECONDS", 0.2)
    async with limiters(2, place[1], Limits(requests="5/hour")) as (one, other):
        with running(*place):
            assert (await one.spend(WHO, "requests")).refusal is None
        refusals = [(await one.spend(WHO, "requests")).refusal is not None for _ in range(6)]
        assert refusals == [*[False] * 5, True], "each process counts by itself"
        assert one.away
        assert (await other.spend(WHO, "requests")).refusal is None
        with running(*place):
            deadline = time.monotonic() + 30
            while one.away or (await one.spend(WHO, "requests")).refusal is not None:
                assert time.monotonic() < deadline, "it goes on by itself"
                await asyncio.sleep(0.05)
            assert not one.away
    assert "Redis does not answer" in caplog.text
    assert "pw@" not in caplog.text


async def test_a_redis_that_hangs_costs_one_request_half_a_second(place: tuple[Path, int]) -> None:
    with running(*place) as server:
        async with limiters(1, place[1], Limits(requests="5000/hour")) as (one,):
            deadline = time.monotonic() + 60
            while (await one.spend(WHO, "requests")).refusal is not None or one.away:
                assert time.monotonic() < deadline, "Redis answers in time"
                await asyncio.sleep(0.05)
            server.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            assert (await one.spend(WHO, "requests")).refusal is None
            waited = time.monotonic() - began
            assert (await one.spend(WHO, "requests")).refusal is None
            assert one.away
            server.send_signal(signal.SIGCONT)
            assert 0.3 < waited < 10


async def test_it_is_told_that_redis_is_away(place: tuple[Path, int]) -> None:
    world = World()
    async with api(world, limits=NewLimits(requests="5/hour"), redis=f"redis://127.0.0.1:{place[1]}") as call:
        assert (await call()).status_code == 200
        ready = (await call(path="/readyz")).json()
        assert (ready["status"], ready["degraded"]) == ("ready", ["redis"])


def test_an_address_of_something_else_is_refused() -> None:
    world = World()
    world.more = {"redis": "http://user:secret@127.0.0.1"}
    with pytest.raises(ValueError, match="redis://HOST:PORT") as found:
        create_app(world.parts())
    assert "secret" not in str(found.value)

"""Webhooks: deliveries a second over a bare signed POST loop, and what dead receivers cost those that are well."""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from bench.machine import Span, own_cpu
from deploy.local import children, ports
from deploy.local.postgres import Postgres
from schemas.destinations import Destinations
from schemas.failpoints import Failpoints
from schemas.settings import WEBHOOK_SCHEDULE
from schemas.webhooks import body, message_id
from sinks.postgres.deliveries import Deliveries
from sinks.postgres.engine import connect
from sinks.postgres.migrate import migrate
from sinks.webhooks.courier import Courier, Parts
from sinks.webhooks.egress import Egress
from sinks.webhooks.lanes import WIDTH
from sinks.webhooks.signing import Signer

TITLE = "Webhooks: deliveries over a bare signed POST loop, and beside dead receivers"
LIMITS = {"deliveries": 0.6, "p95 beside dead receivers": 1.2}
ROUNDS, ENDPOINTS, MESSAGES = 5, 10, 200
SECONDS, EVERY, AMONG = 8.0, 0.1, 20
DEAD = AMONG // 5
_PASSWORDS = {"headrace_api": "bench", "headrace_sink": "bench"}
_ENDPOINT = """
    INSERT INTO webhook_endpoints (id, tenant, url, events, payload, description, state, code, secrets, created_by)
    VALUES ($1, 'demo', $2, '{x}', 'thin', '', 'active', '', '[{"key": 1, "version": 1}]', '')
"""
_MESSAGE = """
    INSERT INTO webhook_messages (id, tenant, type, job, document_id, revision, at, thin, whole)
    SELECT id, 'demo', 'x', '', '', 1, now(), $2, '' FROM unnest($1::text[]) AS id
"""
_DELIVERY = """
    INSERT INTO webhook_deliveries (endpoint, message, tenant, at)
    SELECT webhook_endpoints.id, message, 'demo', now()
    FROM webhook_endpoints CROSS JOIN unnest($1::text[]) AS message
"""
_BODY = body("job.succeeded", "2026-11-22T00:00:00Z", {"job": "job_" + "a" * 40, "state": "succeeded", "n": "x" * 200})
_SIGNER = Signer({1: b"bench"})
LOCAL = Destinations(allow=(ip_network("127.0.0.0/8"),))


class _World:
    """Tables, receivers, and a courier over both."""

    def __init__(self, postgres: Postgres, receiver: int) -> None:
        self._admin = postgres.url
        self._sink = f"postgresql://headrace_sink:bench@127.0.0.1:{postgres.port}/postgres"
        self.url = f"http://127.0.0.1:{receiver}"

    async def endpoints(self, names: Sequence[str]) -> None:
        """These alone."""
        await self.sql("TRUNCATE webhook_endpoints, webhook_messages CASCADE")
        for name in names:
            await self.sql(_ENDPOINT, f"we_{name}", f"{self.url}/{name}")

    async def messages(self, count: int) -> list[str]:
        """New messages, each to all endpoints."""
        ids = [message_id(uuid.uuid4()) for _ in range(count)]
        await self.sql(_MESSAGE, ids, _BODY)
        await self.sql(_DELIVERY, ids)
        return ids

    async def sql(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Run a statement as superuser."""
        connection = await asyncpg.connect(self._admin)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def waits(self) -> bool:
        """Whether anything is not delivered yet."""
        return bool(await self.sql("SELECT FROM webhook_deliveries WHERE state <> 'delivered' LIMIT 1"))

    @asynccontextmanager
    async def courier(self) -> AsyncIterator[Courier]:
        """One that works while the block lasts, as the sink has it."""
        engine, egress = connect(self._sink, lazily=True), Egress(LOCAL)
        courier = Courier(
            Parts(
                Deliveries(engine, lease_seconds=60, longest_hours=120),
                egress.session,
                lambda claimed, at: _SIGNER.headers(claimed.endpoint, [(1, 1)], claimed.message, at, claimed.body),
                Failpoints("bench", None),
                WEBHOOK_SCHEDULE,
                15.0,
                60.0,
            )
        )
        task = asyncio.create_task(courier.run())
        yield courier
        task.cancel()
        await asyncio.wait({task})
        await egress.close()
        await engine.dispose()


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Interleaved rounds on one PostgreSQL and one receiver."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        (port,) = ports.free(1)
        postgres = Postgres(folder / "postgres", port)
        held.enter_context(children.running(postgres))
        migrate(postgres.url, _PASSWORDS)
        receiver = held.enter_context(
            subprocess.Popen([sys.executable, "-m", "bench.hook_receiver"], stdin=-1, stdout=-1, text=True)
        )
        assert receiver.stdin is not None
        assert receiver.stdout is not None
        held.callback(receiver.stdin.close)
        world = _World(postgres, int(receiver.stdout.readline()))
        before, span = own_cpu(), Span()
        speed = asyncio.run(_speed(world, say))
        delay = asyncio.run(_delay(world, say))
        quiet = span.end(own_cpu() - before)["conclusive"]
    missed = speed["ratio"] < LIMITS["deliveries"] or delay["ratio"] > LIMITS["p95 beside dead receivers"]
    verdict = ("missed" if missed else "held") if quiet else "inconclusive"
    return {"speed": speed, "delay": delay, "limits": LIMITS, "verdict": verdict}


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    speed, delay = result["speed"], result["delay"]
    return [
        f"{MESSAGES} messages to each of {ENDPOINTS} endpoints from the tables, signed (v1 and v1a), sent, and noted,",
        f"over a loop that signs and sends the same with the same HTTP client, {WIDTH} at once an endpoint. Then a",
        f"message every {EVERY:.1f} s to {AMONG} endpoints, {DEAD} of them never answering, over the same with all",
        "well: the time from a message's row to its arrival at those that are well.",
        f"{ROUNDS} interleaved rounds, medians.",
        "",
        "| | bare | ours | ratio (rounds) | limit |",
        "|---|---|---|---|---|",
        f"| deliveries a second | {speed['bare']:.0f} | {speed['ours']:.0f} | {_ratio(speed)} | ≥ 0.6 |",
        f"| p95, ms, all well and {DEAD} dead | {delay['bare']:.0f} | {delay['ours']:.0f} | {_ratio(delay)} | ≤ 1.2 |",
        "",
        f"Held or missed: {result['verdict']}.",
    ]


def _ratio(found: dict[str, float]) -> str:
    return f"{found['ratio']:.2f} ({found['least']:.2f} to {found['most']:.2f})"


async def _speed(world: _World, say: Callable[[str], None]) -> dict[str, float]:
    await world.endpoints([str(number) for number in range(ENDPOINTS)])
    pairs = []
    for number in range(ROUNDS + 1):
        sides = [("bare", _bare), ("ours", _ours)]
        found = {name: await side(world) for name, side in (sides if number % 2 else reversed(sides))}
        if number:  # the first warms both
            pairs.append((found["bare"], found["ours"]))
    result = _summed(pairs, [ours / bare for bare, ours in pairs])
    say(f"deliveries: {result['ours']:.0f}/s, bare {result['bare']:.0f}/s, ratio {result['ratio']:.2f}")
    return result


async def _bare(world: _World) -> float:
    """Deliveries a second of a loop that only signs and sends."""
    left = [(number, message_id(uuid.uuid4())) for number in range(ENDPOINTS) for _ in range(MESSAGES)]
    count, raw = len(left), _BODY.encode()
    egress = Egress(LOCAL)
    sessions = [egress.session() for _ in range(ENDPOINTS)]

    async def work() -> None:
        while left:
            number, name = left.pop()
            headers = _SIGNER.headers(f"we_{number}", [(1, 1)], name, int(time.time()), raw)
            answer = await sessions[number].post(f"{world.url}/{number}", headers, raw)
            assert answer.status == 204

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(ENDPOINTS * WIDTH)))
    rate = count / (time.perf_counter() - began)
    await egress.close()
    return rate


async def _ours(world: _World) -> float:
    """Deliveries a second from rows that are due to rows that say what became of them."""
    await world.messages(MESSAGES)
    began = time.perf_counter()
    async with world.courier():
        while await world.waits():  # noqa: ASYNC110 the tables ring for nobody
            await asyncio.sleep(0.05)
        seconds = time.perf_counter() - began
    await world.sql("TRUNCATE webhook_messages CASCADE")
    return ENDPOINTS * MESSAGES / seconds


async def _delay(world: _World, say: Callable[[str], None]) -> dict[str, float]:
    pairs = []
    for number in range(ROUNDS):
        found = {dead: await _p95(world, dead) for dead in ((0, DEAD) if number % 2 else (DEAD, 0))}
        pairs.append((found[0], found[DEAD]))
    result = _summed(pairs, [ours / bare for bare, ours in pairs])
    say(f"p95 beside dead receivers: {result['ours']:.0f} ms, all well {result['bare']:.0f} ms, {result['ratio']:.2f}")
    return result


async def _p95(world: _World, dead: int) -> float:
    """Milliseconds from a message's row to its arrival at the endpoints that are well, the 95th of a hundred."""
    names = [f"dead-{number}" if number < dead else str(number) for number in range(AMONG)]
    await world.endpoints(names)
    began, told = time.monotonic(), {}
    async with world.courier() as courier:
        while (now := time.monotonic()) - began < SECONDS:
            [name] = await world.messages(1)
            told[name] = time.monotonic()
            courier.ring()
            await asyncio.sleep(max(0.0, now + EVERY - time.monotonic()))
        await asyncio.sleep(1)
    async with httpx2.AsyncClient() as client:
        arrivals = json.loads((await client.get(f"{world.url}/arrivals")).content)
    delays = sorted(at - told[name] for _, name, at in arrivals if name in told)
    assert len(delays) == len(told) * (AMONG - dead), "every message came to everybody who is well"
    return 1000.0 * float(delays[int(0.95 * len(delays))])


def _summed(pairs: Sequence[tuple[float, float]], ratios: Sequence[float]) -> dict[str, float]:
    return {
        "bare": statistics.median(bare for bare, _ in pairs),
        "ours": statistics.median(ours for _, ours in pairs),
        "ratio": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
    }

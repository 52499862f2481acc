"""Rows 18 to 21 and 35: PostgreSQL and Weaviate die, refuse, lock, forget, or are out of reach."""

import asyncio
import time
from contextlib import suppress

import asyncpg

from sinks.weaviate_client import WeaviateConnection
from tests.faults.killer import Kill
from tests.faults.suite import Row, Scene
from tests.faults.world import Plan
from tests.support import until

_PROXIED = ("toxiproxy-server",)
_VECTORS = ("toxiproxy-server", "weaviate-server")
_OFTEN = Plan(settings=(("HEADRACE_RECONCILE_SECONDS", "5"),))


def _database(scene: Scene) -> None:
    """Killed, cut off, read-only, out of connections: work waits, and nothing of it is a dead letter."""
    database, wire = scene.world.servers["postgres"], scene.world.wires["postgres"]
    scene.last(2)
    database.kill()
    scene.last(5)
    begun = time.monotonic()
    database.start()
    scene.killer.log.append(Kill("postgres", "any", "", time.monotonic() - begun, server=True))
    scene.last(3)
    wire.cut()
    scene.last(6)
    wire.mend()
    scene.last(3)
    asyncio.run(_read_only(scene.world.database, 6))
    scene.last(3)
    taken = asyncio.run(_exhausted(scene.world.database, 6))
    scene.told.append(f"{taken} connections taken away")


async def _read_only(url: str, seconds: float) -> None:
    connection = await asyncpg.connect(url)
    try:
        for state in ("on", "off"):
            await connection.execute("set default_transaction_read_only = off")
            await connection.execute(f"alter system set default_transaction_read_only = {state}")
            await connection.execute("select pg_reload_conf()")
            if state == "on":
                await asyncio.sleep(seconds)
    finally:
        await connection.close()


async def _exhausted(url: str, seconds: float) -> int:
    """Cut everybody's connections and take all there are; how many those were."""
    first = await asyncpg.connect(url)
    held = [first]
    others = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename <> user"
    with suppress(asyncpg.TooManyConnectionsError):
        await first.execute(others)
        while True:
            held.append(await asyncpg.connect(url))
    await first.execute(others)
    await asyncio.sleep(seconds)
    for connection in held:
        await connection.close()
    return len(held)


def _deadlocks(scene: Scene) -> None:
    """Another client locks the rows of jobs in work in the wrong order, again and again."""
    found = asyncio.run(_lock_backwards(scene.world.database, 15))
    scene.told.append(f"{found} deadlocks")
    scene.expect(found, "no deadlock came about")


async def _lock_backwards(url: str, seconds: float) -> int:
    connection = await asyncpg.connect(url)
    count = "select deadlocks from pg_stat_database where datname = current_database()"
    before, end = int(await connection.fetchval(count)), time.monotonic() + seconds
    while time.monotonic() < end:
        ids = await connection.fetch("select id from jobs where state = 'running' order by id desc")
        with suppress(asyncpg.DeadlockDetectedError):
            async with connection.transaction():
                for row in ids:
                    await connection.execute("select 1 from jobs where id = $1 for update", row["id"])
                    await asyncio.sleep(0.1)
        await asyncio.sleep(0.02)
    await asyncio.sleep(1.5)  # what PostgreSQL counts it tells a second later
    found = int(await connection.fetchval(count)) - before
    await connection.close()
    return found


def _vectors(scene: Scene) -> None:
    """Down, silent, slow, its answers cut short: pages wait, and none is stored twice."""
    server = scene.world.servers["weaviate"]
    scene.last(2)
    server.kill()
    scene.last(6)
    begun = time.monotonic()
    server.start()
    scene.killer.log.append(Kill("weaviate", "any", "", time.monotonic() - begun, server=True))
    scene.last(3)
    server.stop()
    scene.last(13)
    server.resume()
    scene.last(3)
    for name in ("weaviate-rest", "weaviate-grpc"):
        scene.world.wires[name].poison("latency", latency=1500)
    scene.last(6)
    for name in ("weaviate-rest", "weaviate-grpc"):
        scene.world.wires[name].mend()
    for _ in range(6):
        scene.world.wires["weaviate-grpc"].poison("reset_peer", timeout=30)
        scene.last(0.5)
        scene.world.wires["weaviate-grpc"].mend()
        scene.last(1)


def _forgetful(scene: Scene) -> None:
    """Weaviate is killed, and comes back without passages that it had confirmed: the reconciler puts them back."""
    scene.last(6)
    scene.feeder.stop()
    until(lambda: asyncio.run(scene.world.ended(scene.feeder.accepted)), 60, "every job ended")
    begun = time.monotonic()
    scene.killer.now("weaviate")
    names = asyncio.run(_forget(scene, 12))
    until(lambda: not asyncio.run(_missing(scene, names)), 90, "what was forgotten is there again")
    scene.told.append(f"{len(names)} passages back after {time.monotonic() - begun:.0f} s")


async def _forget(scene: Scene, count: int) -> set[str]:
    held = (await scene.world.history()).indexes["weaviate"]
    chosen = scene.chance.sample(sorted(held, key=lambda one: one.id), count)
    assert scene.world.vectors is not None
    connection = WeaviateConnection(*scene.world.vectors)
    try:
        for one in chosen:
            await (await connection.passages()).with_tenant(one.tenant).data.delete_by_id(one.id)
    finally:
        await connection.close()
    return {one.id for one in chosen}


async def _missing(scene: Scene, names: set[str]) -> set[str]:
    return names - {one.id for one in (await scene.world.history()).indexes["weaviate"]}


def _outage_of_sinks(scene: Scene) -> None:
    """Both stores are out of reach for 40 s while documents come in; then all is written, each thing once."""
    names = [name for name in scene.world.wires if name.startswith(("postgres", "weaviate"))]
    for name in names:
        scene.world.wires[name].cut()
    scene.last(40)
    for name in names:
        scene.world.wires[name].mend()
    begun = time.monotonic()
    scene.feeder.stop()
    until(lambda: asyncio.run(scene.world.ended(scene.feeder.accepted)), 120, "all that waited ended")
    scene.told.append(f"{len(scene.feeder.accepted)} jobs done {time.monotonic() - begun:.0f} s after the outage")


ROWS = (
    Row(18, "PostgreSQL killed, cut off, read-only, out of connections", _database, needs=_PROXIED),
    Row(19, "deadlocks in PostgreSQL", _deadlocks, every=0.3),
    Row(20, "Weaviate down, silent, slow, cut short", _vectors, needs=_VECTORS),
    Row(21, "Weaviate forgets what it confirmed", _forgetful, plan=_OFTEN, needs=("weaviate-server",)),
    Row(35, "both stores out of reach for 40 s", _outage_of_sinks, needs=_PROXIED, every=1.0),
)

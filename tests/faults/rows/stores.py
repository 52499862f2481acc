"""Rows 18 to 20, 22 and 35: PostgreSQL, Weaviate and the blob store die, refuse, lock, or give wrong bytes."""

import asyncio
import time
from contextlib import suppress

import asyncpg

from deploy.local.samples import letters
from schemas.topics import OCR, OCR_INTERACTIVE
from sinks.weaviate_client import WeaviateConnection
from tests.faults.history import topic
from tests.faults.killer import Kill
from tests.faults.suite import Row, Scene
from tests.faults.verdict import Expected
from tests.faults.world import Plan
from tests.flow.stops import stopped
from tests.support import until

_PROXIED = ("toxiproxy-server",)
_VECTORS = ("toxiproxy-server", "weaviate-server")
_OFTEN = Plan(settings=(("HEADRACE_RECONCILE_SECONDS", "5"),))
PARTIAL = frozenset({"partial"})


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


def _blobs(scene: Scene) -> None:
    """Of one document a page's picture is deleted, of another a byte of it is changed: that page fails, no other."""
    path = scene.world.folder / "four.pdf"
    letters(path, 4)
    pids = scene.world.stack.pids()
    with stopped(pids["ocr-1"]), stopped(pids["ocr-2"]):
        jobs = [scene.submit("four.pdf", path.read_bytes(), Expected("demo", PARTIAL, pages=4)) for _ in range(2)]
        until(lambda: all(len(_pictures(scene, job)) == 4 for job in jobs), 60, "every page's picture stored")
        blobs = scene.world.stack.folder / "blobs"
        (blobs / _pictures(scene, jobs[0])[2]).unlink()
        changed = blobs / _pictures(scene, jobs[1])[3]
        content = bytearray(changed.read_bytes())
        content[len(content) // 2] ^= 1
        changed.write_bytes(content)
    until(lambda: asyncio.run(scene.world.ended(jobs)), 120, "both jobs ended")
    wrong = asyncio.run(_results(scene.world.database, jobs)) & {(jobs[0], 2), (jobs[1], 3)}
    scene.expect(not wrong, "a page whose picture was not what was stored has a result")


def _slow_head(scene: Scene) -> None:
    """A page cannot be read yet and is tried again, while pages behind it are done and their workers are killed."""
    path = scene.world.folder / "head.pdf"
    letters(path, 8)
    pids = scene.world.stack.pids()
    with stopped(pids["ocr-1"]), stopped(pids["ocr-2"]):
        either = Expected("demo", frozenset({"succeeded", "partial"}), pages=8)
        jobs = [scene.submit("head.pdf", path.read_bytes(), either) for _ in range(3)]
        until(lambda: len(_pictures(scene, jobs[-1])) == 8, 60, "every page's picture stored")
        first = scene.world.stack.folder / "blobs" / _pictures(scene, jobs[0])[1]
        away = first.with_name("away")
        first.rename(away)
    for slot in ("ocr-1", "ocr-2", "ocr-1", "ocr-2"):
        scene.killer.at(slot, scene.chance.choice(("handler", "commit")))
    away.rename(first)


def _pictures(scene: Scene, job: str) -> dict[int, str]:
    """Where the picture of each page of a job lies in the blob store."""
    said = [one for name in (OCR.name, OCR_INTERACTIVE.name) for one in topic(scene.world.broker, name)]
    return {one.place.part: one.value["image"]["key"] for one in said if one.place.job == job}


async def _results(url: str, jobs: list[str]) -> set[tuple[str, int]]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select job, part from results where job = any($1)", jobs)
    await connection.close()
    return {(row["job"], row["part"]) for row in rows}


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
    Row(5, "a slow head, four kills while others pass it", _slow_head),
    Row(18, "PostgreSQL killed, cut off, read-only, out of connections", _database, needs=_PROXIED),
    Row(19, "deadlocks in PostgreSQL", _deadlocks, every=0.3),
    Row(20, "Weaviate down, silent, slow, cut short", _vectors, needs=_VECTORS),
    Row(21, "Weaviate forgets what it confirmed", _forgetful, plan=_OFTEN, needs=("weaviate-server",)),
    Row(22, "a page's picture missing or changed", _blobs),
    Row(35, "both stores out of reach for 40 s", _outage_of_sinks, needs=_PROXIED, every=1.0),
)

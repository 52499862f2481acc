"""Rows 5 and 22: pictures in the blob store that are late, gone or changed."""

import asyncio

import asyncpg

from deploy.local.samples import letters
from schemas.topics import OCR, OCR_INTERACTIVE
from tests.faults.history import topic
from tests.faults.suite import Row, Scene
from tests.faults.verdict import Expected
from tests.flow.stops import stopped
from tests.support import until

_PARTIAL = frozenset({"partial"})


def _blobs(scene: Scene) -> None:
    """Of one document a page's picture is deleted, of another a byte of it is changed: that page fails, no other."""
    path = scene.world.folder / "four.pdf"
    letters(path, 4)
    pids = scene.world.stack.pids()
    with stopped(pids["ocr-1"]), stopped(pids["ocr-2"]):
        jobs = [scene.submit("four.pdf", path.read_bytes(), Expected("demo", _PARTIAL, pages=4)) for _ in range(2)]
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


ROWS = (
    Row(5, "a slow head, four kills while others pass it", _slow_head),
    Row(22, "a page's picture missing or changed", _blobs),
)

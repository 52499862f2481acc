"""Rows 5 and 22: pictures in the blob store that are late, gone or changed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
    deleted, changed = _spoilt(scene, 2, Path.unlink), _spoilt(scene, 3, _flip)
    wrong = asyncio.run(_results(scene.world.database, [deleted, changed])) & {(deleted, 2), (changed, 3)}
    scene.expect(not wrong, "a page whose picture was not what was stored has a result")


def _spoilt(scene: Scene, page: int, spoil: Callable[[Path], object]) -> str:
    """A job that ended, and of which the picture of a page was spoilt before it was read."""
    with _unread(scene, Expected("demo", _PARTIAL, pages=4), pages=4) as (job, pictures):
        spoil(pictures[page])
    until(lambda: asyncio.run(scene.world.ended([job])), 120, "the job ended")
    return job


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _slow_head(scene: Scene) -> None:
    """A page cannot be read yet and is tried again, while pages behind it are done and their workers are killed."""
    either = Expected("demo", frozenset({"succeeded", "partial"}), pages=4)
    with _unread(scene, either, pages=4) as (_, pictures):
        first = pictures[1]
        away = first.rename(first.with_name("away"))
    scene.feeder.start()
    try:
        for slot in ("ocr-1", "ocr-2", "ocr-1", "ocr-2"):
            scene.killer.at(slot, scene.chance.choice(("handler", "commit")))
        away.rename(first)
    finally:
        scene.feeder.stop()


@contextmanager
def _unread(scene: Scene, promised: Expected, pages: int) -> Iterator[tuple[str, dict[int, Path]]]:
    """A job whose pages lie on the log and are not read before the block ends, and where their pictures are.

    No more pages than the dispatcher lets go at once while none comes back, and no other job beside it.
    """
    path = scene.world.folder / "unread.pdf"
    letters(path, pages)
    pids = scene.world.stack.pids()
    with stopped(pids["ocr-1"]), stopped(pids["ocr-2"]):
        job = scene.submit("unread.pdf", path.read_bytes(), promised)
        until(lambda: len(_pictures(scene, job)) == pages, 60, "every page's picture stored")
        yield job, _pictures(scene, job)


def _pictures(scene: Scene, job: str) -> dict[int, Path]:
    """Where the picture of each page of a job lies in the blob store."""
    blobs = scene.world.stack.folder / "blobs"
    said = [one for name in (OCR.name, OCR_INTERACTIVE.name) for one in topic(scene.world.broker, name)]
    return {one.place.part: blobs / one.value["image"]["key"] for one in said if one.place.job == job}


async def _results(url: str, jobs: list[str]) -> set[tuple[str, int]]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select job, part from results where job = any($1)", jobs)
    await connection.close()
    return {(row["job"], row["part"]) for row in rows}


ROWS = (
    Row(5, "a slow head, four kills while others pass it", _slow_head, fed=False),
    Row(22, "a page's picture missing or changed", _blobs, fed=False),
)

"""The eraser on a real folder."""

from pathlib import Path

import pytest

from schemas.documents import JobErased
from schemas.errors import DependencyDown, RecordError
from schemas.ports import BlobStore
from schemas.work import Task
from sinks.blobs import open_blobs
from sinks.eraser import Eraser
from tests.sinks import events


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return open_blobs((tmp_path / "blobs").as_uri())


def erased(job: str, source: str, *, tenant: str = "demo") -> Task:
    return events.task(job, 0, JobErased(source=source), tenant=tenant)


def kept(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_a_jobs_upload_and_all_below_its_folder_are_erased_and_nothing_else(
    blobs: BlobStore, tmp_path: Path
) -> None:
    for key in (
        "demo/abc/source",
        "demo/job_a/pages/1/00001.png",
        "demo/job_a/records/x",
        "demo/job_ab/y",
        "other/z/s",
    ):
        blobs.put(key, b"x")
    eraser = Eraser(blobs)
    await eraser.open()
    for _ in range(2):
        assert await eraser.write([erased("job_a", "demo/abc/source")]) == ()
    assert kept(tmp_path / "blobs") == ["demo", "demo/job_ab", "demo/job_ab/y", "other", "other/z", "other/z/s"]
    await eraser.close()


@pytest.mark.parametrize(
    ("job", "source"),
    [
        ("job_a", "other/abc/source"),
        ("job_a", "demo/../other/abc/source"),
        ("job_a", "demo"),
        ("job_a", "/demo/abc/source"),
        ("", "demo/abc/source"),
        ("..", "demo/abc/source"),
        ("../other", "demo/abc/source"),
    ],
)
async def test_bytes_that_are_not_the_tenants_own_are_refused_and_stay(
    blobs: BlobStore, tmp_path: Path, job: str, source: str
) -> None:
    for key in ("demo/abc/source", "other/abc/source"):
        blobs.put(key, b"x")
    with pytest.raises(RecordError):
        await Eraser(blobs).write([erased(job, source)])
    assert {"other/abc/source"} <= set(kept(tmp_path / "blobs"))


async def test_what_else_lies_on_its_topic_erases_nothing(blobs: BlobStore, tmp_path: Path) -> None:
    blobs.put("demo/doc/source", b"x")
    await Eraser(blobs).write([events.dropped("doc", 9), events.dropped("doc", 9, reason="replaced")])
    assert "demo/doc/source" in kept(tmp_path / "blobs")


async def test_a_store_that_is_away_holds_the_record(blobs: BlobStore, tmp_path: Path) -> None:
    blobs.put("demo/job_a/x", b"x")
    store = tmp_path / "blobs"
    store.rename(tmp_path / "away")
    store.touch()
    with pytest.raises(DependencyDown):
        await Eraser(blobs).open()
    with pytest.raises(DependencyDown):
        await Eraser(blobs).write([erased("job_a", "demo/abc/source")])

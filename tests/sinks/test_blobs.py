"""The blob store in a folder."""

import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Sized
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from schemas.documents import Claim
from schemas.errors import BlobMissing, DecodeFailed, DependencyDown, RecordError, TooLarge
from schemas.ports import BlobStore
from sinks import durable_names
from sinks.blobs import open_blobs
from sinks.durable_names import Names

KEY = "demo/job_a/pages/1/00001.png"


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return open_blobs((tmp_path / "blobs").as_uri())


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_what_is_streamed_in_is_counted_and_hashed_and_read_back(blobs: BlobStore, tmp_path: Path) -> None:
    chunks = [os.urandom(700_000) for _ in range(5)]
    claim = await blobs.write(KEY, stream(*chunks), limit=3_500_000)
    whole = b"".join(chunks)
    assert claim == Claim(key=KEY, sha256=hashlib.sha256(whole).hexdigest(), size=3_500_000)
    assert blobs.read(claim) == whole
    assert files(tmp_path / "blobs") == [KEY]


@pytest.mark.parametrize("content", [b"", b"x" * 10])
async def test_put_and_write_say_the_same_of_the_same_bytes(blobs: BlobStore, content: bytes) -> None:
    put, written = blobs.put("a/1", content), await blobs.write("a/2", stream(content), limit=10)
    assert (put.sha256, put.size) == (written.sha256, written.size)
    assert blobs.read(put) == blobs.read(written) == content


async def test_one_byte_past_the_limit_is_too_large_and_leaves_no_file(blobs: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await blobs.write(KEY, stream(b"x" * 6_000_000, b"y"), limit=6_000_000)
    assert files(tmp_path / "blobs") == []


async def test_a_sender_that_breaks_off_leaves_no_file_and_its_own_error(blobs: BlobStore, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 6_000_000
        raise KeyError("gone")

    with pytest.raises(KeyError):
        await blobs.write(KEY, broken(), limit=10_000_000)
    assert files(tmp_path / "blobs") == []


async def test_every_return_comes_after_the_file_was_synced_under_its_draft_name_and_then_its_folders(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink().relative_to(tmp_path / "blobs")))
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    blobs.put("demo/job/one", b"1")
    draft, *folders = synced
    assert draft.startswith("demo/job/one.")
    assert folders == ["demo/job", "demo", "."]
    synced.clear()
    await blobs.write("demo/job/two", stream(b"2"), limit=1)
    assert len(synced) == 2
    assert synced[1] == "demo/job", "the folder holds a new name each time; those above it do not"
    synced.clear()
    blobs.put("demo/other/one", b"3")
    assert synced[1:] == ["demo/other", "demo"], "the folder above holds the name of a new one"


async def test_a_folder_that_was_gone_is_durable_anew(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.put("demo/job/one", b"1")
    await blobs.delete_below("demo/job")
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink().name))
    blobs.put("demo/job/one", b"1")
    assert synced[1:3] == ["job", "demo"]


class Door:
    """A lock that counts who has come to it."""

    def __init__(self) -> None:
        self.lock, self.come = threading.Lock(), threading.Semaphore(0)

    def __enter__(self) -> None:
        self.come.release()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_who_comes_while_a_folder_is_synced_shares_the_next_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors: list[Door] = []
    monkeypatch.setattr(durable_names, "threading", SimpleNamespace(Lock=lambda: doors.append(Door()) or doors[-1]))
    names, began, go_on = Names(tmp_path), threading.Event(), threading.Event()
    syncs: list[int] = []

    def held(handle: int) -> None:
        syncs.append(handle)
        began.set()
        assert go_on.wait(20)

    monkeypatch.setattr(os, "fsync", held)
    with ThreadPoolExecutor(6) as threads:
        first = threads.submit(names.keep, tmp_path / "a")
        assert began.wait(20)
        others = [threads.submit(names.keep, tmp_path / name) for name in "bcdef"]
        assert all(doors[0].come.acquire(timeout=20) for _ in range(6))
        assert not any(other.done() for other in others), "the sync that runs may have passed their names already"
        go_on.set()
        for each in (first, *others):
            each.result(20)
    assert len(syncs) == 2


def test_a_sync_that_fails_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, errors = Names(tmp_path), iter([OSError(5, "sick")])

    def sick(_: int) -> None:
        if error := next(errors, None):
            raise error

    monkeypatch.setattr(os, "fsync", sick)
    with pytest.raises(OSError, match="sick"):
        names.keep(tmp_path / "a")
    names.keep(tmp_path / "b")


def test_what_is_remembered_does_not_grow_with_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    names = Names(tmp_path)
    for number in range(2500):
        folder = tmp_path / str(number)
        folder.mkdir()
        names.keep(folder / "one")
    assert sum(len(value) for value in vars(names).values() if isinstance(value, Sized)) < 1001


def test_a_later_put_replaces_the_bytes_of_a_key(blobs: BlobStore) -> None:
    blobs.put(KEY, b"old and longer")
    assert blobs.read(blobs.put(KEY, b"new")) == b"new"


def test_bytes_that_were_changed_on_the_disk_are_never_returned(blobs: BlobStore, tmp_path: Path) -> None:
    claim = blobs.put(KEY, b"right")
    for wrong in (b"wrong", b"righ", b""):
        (tmp_path / "blobs" / KEY).write_bytes(wrong)
        with pytest.raises(DecodeFailed):
            blobs.read(claim)


async def test_a_missing_blob_is_tried_again_and_then_given_up(blobs: BlobStore) -> None:
    claim = blobs.put(KEY, b"x")
    await blobs.delete(KEY)
    await blobs.delete(KEY)
    with pytest.raises(BlobMissing) as raised:
        blobs.read(claim)
    assert raised.value.fate == "retry", "one lost file must not stop a step for everybody"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_a_sick_disk_is_a_dependency_that_is_down_and_nothing_half_written_stays(
    blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def sick(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", sick)
    with pytest.raises(DependencyDown):
        blobs.put(KEY, b"x")
    with pytest.raises(DependencyDown) as raised:
        await blobs.write(KEY, stream(b"x"), limit=1)
    assert files(tmp_path / "blobs") == []
    assert str(tmp_path) not in str(raised.value), "an error that callers see names no folder"


async def test_ping_fails_when_the_folder_is_gone(blobs: BlobStore, tmp_path: Path) -> None:
    await blobs.ping()
    (tmp_path / "blobs").rmdir()
    with pytest.raises(DependencyDown):
        await blobs.ping()


@pytest.mark.parametrize(
    "key", ["/etc/passwd", "../x", "a/../../x", "a//b", "", "a/", "./a", "a\x00", "a b", "a" * 513]
)
async def test_a_key_that_this_store_never_made_is_refused(blobs: BlobStore, tmp_path: Path, key: str) -> None:
    with pytest.raises(RecordError):
        blobs.put(key, b"x")
    with pytest.raises(RecordError):
        await blobs.write(key, stream(b"x"), limit=1)
    with pytest.raises(RecordError):
        await blobs.delete(key)
    assert files(tmp_path) == []


@pytest.mark.parametrize("url", ["s3://bucket/x", "/tmp/x", "file://host/x", "file:relative"])
def test_a_url_that_names_no_folder_is_refused_at_start(url: str) -> None:
    with pytest.raises(ValueError, match="HEADRACE_BLOBS"):
        open_blobs(url)


async def test_a_folder_of_keys_is_deleted_with_its_drafts_and_only_it(blobs: BlobStore, tmp_path: Path) -> None:
    for key in ("demo/job_a/1", "demo/job_a/pages/1/2.png", "demo/job_a/3.x.draft", "demo/job_ab/4", "demo/5"):
        blobs.put(key, b"x")
    await blobs.delete_below("demo/job_a")
    await blobs.delete_below("demo/job_a")
    assert files(tmp_path / "blobs") == ["demo/5", "demo/job_ab/4"]
    again = blobs.put("demo/job_a/1", b"y")
    assert blobs.read(again) == b"y"
    for wrong in ("", "..", "demo/..", "/demo", "demo/"):
        with pytest.raises(RecordError):
            await blobs.delete_below(wrong)


async def test_a_key_takes_its_empty_folder_along_but_never_a_tenants_own(blobs: BlobStore, tmp_path: Path) -> None:
    for key in ("one", "demo/two", "demo/job/three"):
        blobs.put(key, b"x")
        await blobs.delete(key)
    assert list((tmp_path / "blobs").rglob("*")) == [tmp_path / "blobs" / "demo"], "a tenant's own is known as durable"
    await blobs.ping()

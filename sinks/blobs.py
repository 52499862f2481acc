"""The blob store in a folder: what it returns from is on the disk."""

import asyncio
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from schemas.chunks import beginning, rejoined
from schemas.documents import Claim
from schemas.errors import BlobMissing, DecodeFailed, DependencyDown, RecordError, TooLarge
from schemas.ports import BlobStore, StoredBlob
from sinks.durable_names import Names, sync

RETRY_AFTER = 5.0
_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # so neither '..' nor empty, nor anything a store would escape
_PART = 1024 * 1024
_LISTED = 500
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def open_blobs(url: str) -> BlobStore:
    """The blob store at `file:///folder`; the folder is made when missing. Raises `ValueError` for another URL."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
        raise ValueError("HEADRACE_BLOBS must be file:///absolute/folder")
    return FolderBlobs(Path(unquote(parts.path)))


class FolderBlobs:
    """The `BlobStore` port over a local folder.

    Bytes are written under a name of their own, synced, and then renamed: a key holds all of its bytes or none, also
    when two processes write it at once.
    """

    def __init__(self, root: Path) -> None:
        with _disk():
            root.mkdir(parents=True, exist_ok=True)
            self._store = LocalStore(root)
        self._root = root
        self._names = Names(root)

    async def write(self, key: str, content: AsyncIterator[bytes], *, limit: int) -> Claim:
        """Stream `content` in; raises `TooLarge` past `limit` bytes, `DependencyDown` for a sick disk."""
        _check(key)
        counted, draft = _Counted(content, limit), _draft(key)
        stream = counted.stream()
        with _disk(), self._dropped_on_error(draft):
            begun = await beginning(stream, _PART)
            if len(begun) < _PART:
                await asyncio.to_thread(self._written, draft, key, begun)
            else:
                await obstore.put_async(self._store, draft, rejoined(begun, stream), chunk_size=_PART)
                await asyncio.to_thread(self._synced, draft, key)
        return Claim(key=key, sha256=counted.sha256.hexdigest(), size=counted.size)

    def put(self, key: str, content: bytes) -> Claim:
        """Store bytes at once (blocking); raises `DependencyDown` for a sick disk."""
        _check(key)
        draft = _draft(key)
        with _disk(), self._dropped_on_error(draft):
            self._written(draft, key, content)
        return Claim(key=key, sha256=hashlib.sha256(content).hexdigest(), size=len(content))

    def read(self, claim: Claim) -> bytes:
        """The bytes of a claim (blocking); raises `DecodeFailed` when they differ, `BlobMissing` when they are gone."""
        content = self.find(claim.key)
        if content is None:
            raise BlobMissing
        if len(content) != claim.size or hashlib.sha256(content).hexdigest() != claim.sha256:
            raise DecodeFailed("the stored bytes are not those that were sent")
        return content

    def find(self, key: str) -> bytes | None:
        """The bytes at a key (blocking), None where there are none; raises `DependencyDown` for a sick disk."""
        _check(key)
        with _disk():
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError:
                return None

    async def delete(self, key: str) -> None:
        """Forget a key, known or not, and its folder where that is empty then."""
        _check(key)
        with _disk():
            await asyncio.to_thread(self._unlink, self._root / key)

    async def delete_below(self, folder: str) -> None:
        """Forget every key below `folder`, drafts included; none is no error."""
        _check(folder)
        with _disk():
            await asyncio.to_thread(_remove, self._root / folder)

    async def listed(self) -> AsyncIterator[Sequence[StoredBlob]]:
        """Every key, drafts included, some hundred at a time."""
        with _disk():
            async for batch in obstore.list(self._store, chunk_size=_LISTED):
                yield [StoredBlob(found["path"], found["last_modified"]) for found in batch]

    async def ping(self) -> None:
        """Raise `DependencyDown` when the folder is gone or cannot be written."""
        with _disk():
            await asyncio.to_thread(self._probe)

    def _probe(self) -> None:
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise PermissionError("the folder cannot be written")

    def _unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        if self._root not in (path.parent, path.parent.parent):  # a tenant's own folder stays: its name is durable
            with suppress(OSError):  # it holds more, or is gone already
                path.parent.rmdir()

    def _written(self, draft: str, key: str, content: bytes) -> None:
        """Write what is small in one go, and make it durable by its name."""
        path = self._root / draft
        handle, left = self._opened(path), memoryview(content)
        try:
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        self._name(path, self._root / key)

    def _opened(self, path: Path) -> int:
        """A new file, in folders that are made where they are missing."""
        try:
            return os.open(path, _NEW, 0o666)
        except FileNotFoundError:
            self._names.make(path.parent)
            return os.open(path, _NEW, 0o666)

    def _synced(self, draft: str, key: str) -> None:
        """Make what was written durable by its name."""
        sync(self._root / draft)
        self._name(self._root / draft, self._root / key)

    def _name(self, draft: Path, path: Path) -> None:
        draft.rename(path)
        self._names.keep(path)

    @contextmanager
    def _dropped_on_error(self, draft: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            (self._root / draft).unlink(missing_ok=True)
            raise


class _Counted:
    """A stream that is measured while it passes."""

    def __init__(self, content: AsyncIterator[bytes], limit: int) -> None:
        self._content = content
        self._limit = limit
        self.size = 0
        self.sha256 = hashlib.sha256()

    async def stream(self) -> AsyncIterator[bytes]:
        async for chunk in self._content:
            self.size += len(chunk)
            if self.size > self._limit:
                raise TooLarge(f"the file has more than {self._limit} bytes")
            self.sha256.update(chunk)
            yield chunk


def _check(key: str) -> None:
    if len(key) > 512 or not all(map(_SEGMENT.fullmatch, key.split("/"))):
        raise RecordError("a blob key that this store never made")


def _draft(key: str) -> str:
    return f"{key}.{uuid.uuid4().hex}.draft"


def _remove(folder: Path) -> None:
    while folder.is_dir():
        with suppress(FileNotFoundError):  # another is at the same work
            shutil.rmtree(folder)


@contextmanager
def _disk() -> Iterator[None]:
    """What the disk says, in the house's words."""
    try:
        yield
    except (OSError, BaseError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise DependencyDown(f"the blob store does not answer ({cause})", retry_after=RETRY_AFTER) from error

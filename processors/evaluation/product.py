"""A file through the product's own steps, in this process: as the API, prepare and ocr do it, without the log."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from schemas.codec import decode, encode
from schemas.documents import PagePrepared, PageRead, SliceReleased
from schemas.envelope import Envelope, new_trace
from schemas.errors import HeadraceError
from schemas.plans import DOCUMENT
from schemas.ports import BlobStore
from schemas.records import Outgoing, Partition, Record
from schemas.topics import EVENTS
from schemas.work import Step, Task

_TENANT = "eval"
_ALL = 1_000_000


class Prepared(NamedTuple):
    """What prepare made of one page; `picture` is None for a page that has none, and then `read` is there."""

    number: int
    task: Task
    picture: PagePrepared | None
    read: PageRead | None


class Product:
    """The two steps and their blob store; load the steps before."""

    def __init__(self, prepare: Step, ocr: Step, blobs: BlobStore) -> None:
        self._prepare = prepare
        self._ocr = ocr
        self._blobs = blobs

    def pages(self, content: bytes, name: str) -> list[Prepared]:
        """The document's pages in order; raises the `HeadraceError` that its job would fail with."""
        job = uuid.uuid4().hex
        source = self._blobs.put(f"{_TENANT}/{job}/source", content)
        envelope = Envelope(
            id=uuid.uuid4(), kind=SliceReleased.kind(), at=datetime.now(UTC), job=job, run=1, part=0,
            tenant=_TENANT, plan=DOCUMENT.hash, document=name, traceparent=new_trace(),
        )  # fmt: skip
        first = encode("jobs", envelope, SliceReleased(source=source, filename=name, last=_ALL))
        pages = (_page(task) for task in _run(self._prepare, _task(first)))
        return sorted((page for page in pages if page), key=lambda page: page.number)

    def read(self, page: Prepared) -> PageRead:
        """The page, read; raises the `HeadraceError` that the page would fail with."""
        if page.read is not None:
            return page.read
        reads = (task.payload for task in _run(self._ocr, page.task))
        return next(payload for payload in reads if isinstance(payload, PageRead))

    def png(self, page: Prepared) -> bytes | None:
        """The page's upright picture."""
        return self._blobs.read(page.picture.image) if page.picture else None


def _run(step: Step, task: Task) -> Iterator[Task]:
    (answer,) = step.run([task])
    if isinstance(answer, HeadraceError):
        raise answer
    return (_task(record) for record in answer)


def _task(record: Outgoing) -> Task:
    read = Record(Partition(record.topic, 0), 0, 0, record.key, record.value, record.headers, 0.0)
    return Task(*decode(read), read)


def _page(task: Task) -> Prepared | None:
    if task.record.partition.topic == EVENTS.name:
        return None
    picture = task.payload if isinstance(task.payload, PagePrepared) else None
    read = task.payload if isinstance(task.payload, PageRead) else None
    return Prepared(task.envelope.part, task, picture, read) if picture or read else None

"""The steps in a row, on a real folder of blobs, a real decoding child, and engines that mean nothing."""

import io
import math
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from deploy.local.samples import letters
from processors.engines.fakes import FakeEmbedder, FakeReader
from processors.engines.ports import Found
from processors.steps.chunk import Chunk
from processors.steps.embed import Embed
from processors.steps.ocr import Ocr
from processors.steps.prepare import Prepare
from schemas.codec import decode, encode, page_spread
from schemas.documents import (
    ChunksEmbedded,
    Claim,
    DocumentPrepared,
    JobSubmitted,
    PageChunked,
    PagePrepared,
    PageRead,
    Payload,
)
from schemas.envelope import Envelope, new_trace
from schemas.errors import DependencyDown, HeadraceError, ModelOutputInvalid, Truncated, UnsupportedMedia
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Partition, Record
from schemas.settings import Settings
from schemas.work import Answer, Step, Task
from sinks.blobs import FolderBlobs

JOB = "job-1"


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def prepare(blobs: FolderBlobs) -> Iterator[Prepare]:
    step = Prepare(blobs, Settings())
    step.load()
    yield step
    step.close()


def task(record: Outgoing) -> Task:
    read = Record(Partition(record.topic, 0), 0, 0, record.key, record.value, record.headers, 0.0)
    return Task(*decode(read), read, queued=0.25)


def first_task(payload: Payload, part: int = 0) -> Task:
    envelope = Envelope(
        id=uuid.UUID(int=7), kind=payload.kind(), at=datetime.now(UTC), job=JOB, run=2, part=part, tenant="demo",
        plan=DOCUMENT.hash, document="d", traceparent=new_trace(),
    )  # fmt: skip
    return task(encode("any", envelope, payload))


def submitted(blobs: FolderBlobs, content: bytes) -> Task:
    return first_task(JobSubmitted(source=blobs.put(f"demo/{uuid.uuid4()}", content), filename="report.jpg"))


def records(answer: Answer) -> Sequence[Outgoing]:
    assert not isinstance(answer, HeadraceError), answer
    return answer


def run_one(step: Step, record: Outgoing) -> Sequence[Outgoing]:
    (answer,) = step.run([task(record)])
    return records(answer)


def letter(tmp_path: Path, pages: int) -> bytes:
    letters(tmp_path / "letter.pdf", pages)
    return (tmp_path / "letter.pdf").read_bytes()


def test_a_document_goes_all_the_way_from_bytes_to_vectors(
    prepare: Prepare, blobs: FolderBlobs, tmp_path: Path
) -> None:
    (answer,) = prepare.run([submitted(blobs, letter(tmp_path, 3))])
    counted, *pages = records(answer)
    assert counted.topic == "headrace.events"
    assert task(counted).payload == DocumentPrepared(pages=3, media_type="application/pdf")
    assert counted.spread is None
    assert [page.spread for page in pages] == [page_spread(JOB, number) for number in (1, 2, 3)]
    steps: list[Step] = [Ocr(FakeReader(), blobs), Chunk(), Embed(FakeEmbedder())]
    for number, page in enumerate(pages, start=1):
        made = page
        for step in steps:
            made = run_one(step, made)[0]
            assert (made.key, made.spread) == (JOB.encode(), page_spread(JOB, number))
        last = task(made)
        assert made.topic == "headrace.vectors"
        assert (last.envelope.part, last.envelope.run, last.envelope.job) == (number, 2, JOB)
        assert isinstance(last.payload, ChunksEmbedded)
        assert last.payload.chunks
        assert last.payload.dimensions == 384


def test_page_pictures_lie_where_the_claim_says(prepare: Prepare, blobs: FolderBlobs, tmp_path: Path) -> None:
    (answer,) = prepare.run([submitted(blobs, letter(tmp_path, 1))])
    payload = task(records(answer)[1]).payload
    assert isinstance(payload, PagePrepared)
    assert payload.image.key == "demo/job-1/pages/2/00001.png"
    assert Image.open(io.BytesIO(blobs.read(payload.image))).size == (payload.width, payload.height)


def test_a_repeat_of_the_same_work_makes_the_same_ids_and_bytes(
    prepare: Prepare, blobs: FolderBlobs, tmp_path: Path
) -> None:
    work = submitted(blobs, letter(tmp_path, 2))
    once, again = (records(prepare.run([work])[0]) for _ in range(2))
    assert [task(record).envelope.id for record in once] == [task(record).envelope.id for record in again]
    assert [record.value for record in once] == [record.value for record in again]


def test_a_bad_document_fails_alone(prepare: Prepare, blobs: FolderBlobs, tmp_path: Path) -> None:
    good = letter(tmp_path, 1)
    answers = prepare.run([submitted(blobs, content) for content in (good, good[:999], b"plain words", good)])
    assert isinstance(answers[1], Truncated)
    assert isinstance(answers[2], UnsupportedMedia)
    assert [len(records(answers[index])) for index in (0, 3)] == [2, 2]


def test_a_dead_blob_store_is_nobodys_fault(prepare: Prepare, blobs: FolderBlobs, tmp_path: Path) -> None:
    class Down(FolderBlobs):
        def read(self, claim: Claim) -> bytes:
            raise DependencyDown

    page = PagePrepared(image=blobs.put("demo/page", b"png"), width=9, height=9, media_type="image/png")
    with pytest.raises(DependencyDown):
        Ocr(FakeReader(), Down(tmp_path)).run([first_task(page, 1)])
    with pytest.raises(DependencyDown):
        Prepare(Down(tmp_path), Settings()).run([submitted(blobs, b"%PDF-")])


def test_a_read_page_is_told_to_the_next_step_and_to_the_projector_under_one_id(blobs: FolderBlobs) -> None:
    page = PagePrepared(image=blobs.put("demo/page", b"png"), width=90, height=90, media_type="image/png")
    (answer,) = Ocr(FakeReader(), blobs).run([first_task(page, 4)])
    forward, event = records(answer)
    assert (forward.topic, event.topic) == ("headrace.chunk", "headrace.events")
    assert (forward.spread, event.spread) == (page_spread(JOB, 4), None)
    assert task(forward).envelope.id == task(event).envelope.id
    read = task(event).payload
    assert isinstance(read, PageRead)
    assert read.times.queued == 0.25
    assert read.engine.name == "fake"


def test_a_blank_page_goes_all_the_way_as_well(blobs: FolderBlobs) -> None:
    class Blind(FakeReader):
        def read(self, png: bytes, width: int, height: int) -> list[Found]:
            return []

    page = PagePrepared(image=blobs.put("demo/page", b"png"), width=90, height=90, media_type="image/png")
    read = records(Ocr(Blind(), blobs).run([first_task(page, 1)])[0])[0]
    embedded = task(run_one(Embed(FakeEmbedder()), run_one(Chunk(), read)[0])[0]).payload
    assert isinstance(embedded, ChunksEmbedded)
    assert embedded.chunks == ()


def test_a_model_that_answers_nonsense_fails_the_one_page(blobs: FolderBlobs) -> None:
    class Mad(FakeReader):
        def read(self, png: bytes, width: int, height: int) -> list[Found]:
            score = math.nan if width == 13 else 0.5
            return [Found("text", ((1, 1), (5, 1), (5, 5), (1, 5)), score)]

    claim = blobs.put("demo/page", b"png")
    pages = [PagePrepared(image=claim, width=width, height=90, media_type="image/png") for width in (90, 13, 90)]
    answers = Ocr(Mad(), blobs).run([first_task(page, 1) for page in pages])
    assert [isinstance(answer, ModelOutputInvalid) for answer in answers] == [False, True, False]


def test_a_batch_of_pages_gets_each_its_own_vectors() -> None:
    read = [FakeReader().read(bytes([number]), 90, 90) for number in range(5)]
    texts = [[found.text for found in page] for page in read]
    pages = [
        PageChunked.model_validate(
            {"width": 90, "height": 90, "chunks": [{"index": 0, "text": text, "box": (0, 0, 1, 1)} for text in page]}
        )
        for page in texts
    ]
    step = Embed(FakeEmbedder())
    together = step.run([first_task(page, 1) for page in pages])
    for page, answer in zip(pages, together, strict=True):
        (alone,) = step.run([first_task(page, 1)])
        one, other = (task(records(item)[0]).payload for item in (answer, alone))
        assert isinstance(one, ChunksEmbedded)
        assert isinstance(other, ChunksEmbedded)
        assert one.chunks == other.chunks
        assert [chunk.text for chunk in one.chunks] == [chunk.text for chunk in page.chunks]

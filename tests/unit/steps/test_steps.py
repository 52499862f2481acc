"""The steps in a row, on a real folder of blobs, a real decoding child, and engines that mean nothing."""

import dataclasses
import io
import math
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image

from deploy.local.samples import letters
from processors.engines.fakes import FakeEmbedder, FakeLayoutFinder, FakeOrienter, FakeReader
from processors.engines.ports import Found, Region
from processors.steps.chunk import Chunk
from processors.steps.embed import Embed
from processors.steps.ocr import Ocr
from processors.steps.prepare import Prepare
from schemas.codec import page_spread
from schemas.documents import (
    ChunksEmbedded,
    Claim,
    DocumentPrepared,
    Line,
    PageChunked,
    PagePrepared,
    PageRead,
    SliceReleased,
    TextLayer,
)
from schemas.envelope import NAMESPACE
from schemas.errors import (
    BlobMissing,
    DecodeFailed,
    DependencyDown,
    HeadraceError,
    ModelOutputInvalid,
    Truncated,
    UnsupportedMedia,
)
from schemas.plans import DOCUMENT
from schemas.records import Outgoing
from schemas.settings import Settings
from schemas.work import Answer, Step, Task
from sinks.blobs import FolderBlobs
from tests.unit.steps.tasks import JOB, first_task, task


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def prepare(blobs: FolderBlobs) -> Iterator[Prepare]:
    step = Prepare(FakeOrienter(), blobs, Settings())
    step.load()
    yield step
    step.close()


def png(width: int = 90, height: int = 90, shade: int = 255, mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), shade).convert(mode).save(file, "PNG")
    return file.getvalue()


def page_of(blobs: FolderBlobs, content: bytes, width: int = 90, layers: tuple[TextLayer, ...] = ()) -> PagePrepared:
    image = blobs.put(f"demo/{uuid.uuid4()}", content)
    return PagePrepared(image=image, width=width, height=90, media_type="image/png", layers=layers)


def submitted(blobs: FolderBlobs, content: bytes) -> Task:
    return first_task(SliceReleased(source=blobs.put(f"demo/{uuid.uuid4()}", content), filename="report.jpg", last=32))


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
    steps: list[Step] = [Ocr(FakeReader(), FakeLayoutFinder(), blobs), Chunk(), Embed(FakeEmbedder())]
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


@pytest.mark.parametrize("run", [1, 2])
def test_what_is_made_of_a_slice_follows_from_its_submission_as_in_the_release_that_knew_no_slices(
    prepare: Prepare, blobs: FolderBlobs, tmp_path: Path, run: int
) -> None:
    released = submitted(blobs, letter(tmp_path, 2))
    released = dataclasses.replace(released, envelope=released.envelope.model_copy(update={"run": run}))
    assert isinstance(released.payload, SliceReleased)
    named = "|".join((JOB, released.payload.source.sha256, *(["2"] if run == 2 else [])))
    whole = released.envelope.model_copy(update={"id": uuid.uuid5(NAMESPACE, named)})
    digests = DOCUMENT.digest("prepare"), FakeOrienter().stamp.digest
    made = [task(record).envelope for record in records(prepare.run([released])[0])]
    assert [one.id for one in made] == [
        whole.follow(one.kind, "prepare", part=one.part, digests=digests).id for one in made
    ]


def test_a_bad_document_fails_alone(prepare: Prepare, blobs: FolderBlobs, tmp_path: Path) -> None:
    good = letter(tmp_path, 1)
    answers = prepare.run([submitted(blobs, content) for content in (good, good[:999], bytes(range(256)), good)])
    assert isinstance(answers[1], Truncated)
    assert isinstance(answers[2], UnsupportedMedia)
    assert [len(records(answers[index])) for index in (0, 3)] == [2, 2]


def test_a_dead_blob_store_is_nobodys_fault(prepare: Prepare, blobs: FolderBlobs, tmp_path: Path) -> None:
    class Down(FolderBlobs):
        def read(self, claim: Claim) -> bytes:
            raise DependencyDown

    with pytest.raises(DependencyDown):
        Ocr(FakeReader(), FakeLayoutFinder(), Down(tmp_path)).run([first_task(page_of(blobs, png()), 1)])
    with pytest.raises(DependencyDown):
        Prepare(FakeOrienter(), Down(tmp_path), Settings()).run([submitted(blobs, b"%PDF-")])


@pytest.mark.parametrize(("instead", "error"), [(png(shade=7), DecodeFailed), (None, BlobMissing)])
def test_bytes_that_are_gone_or_others_fail_their_own_page_or_document_and_no_other(
    prepare: Prepare, blobs: FolderBlobs, tmp_path: Path, instead: bytes | None, error: type[HeadraceError]
) -> None:
    pages = [page_of(blobs, png()), page_of(blobs, png())]
    uploads = [submitted(blobs, png()), submitted(blobs, png())]
    assert isinstance(uploads[0].payload, SliceReleased)
    for claim in (pages[0].image, uploads[0].payload.source):
        (tmp_path / "blobs" / claim.key).unlink()
        if instead is not None:
            (tmp_path / "blobs" / claim.key).write_bytes(instead)
    for wrong, right in (read_pages(blobs, *pages), prepare.run(uploads)):
        assert isinstance(wrong, error)
        assert records(right)


def read_pages(blobs: FolderBlobs, *pages: PagePrepared, reader: FakeReader | None = None) -> list[Answer]:
    step = Ocr(reader or FakeReader(), FakeLayoutFinder(), blobs)
    return list(step.run([first_task(page, number) for number, page in enumerate(pages, start=1)]))


def read_of(answer: Answer) -> PageRead:
    read = task(records(answer)[0]).payload
    assert isinstance(read, PageRead)
    return read


def test_a_read_page_is_told_to_the_next_step_and_to_the_projector_under_one_id(blobs: FolderBlobs) -> None:
    page = page_of(blobs, png())
    (answer,) = Ocr(FakeReader(), FakeLayoutFinder(), blobs).run([first_task(page, 4)])
    forward, event = records(answer)
    assert (forward.topic, event.topic) == ("headrace.chunk", "headrace.events")
    assert (forward.spread, event.spread) == (page_spread(JOB, 4), None)
    assert task(forward).envelope.id == task(event).envelope.id
    read = task(event).payload
    assert isinstance(read, PageRead)
    assert read.times.queued == 0.25
    assert (read.engine.name, read.origin, read.image) == ("fake", "ocr", page.image)


def test_a_read_page_has_its_lines_in_blocks(blobs: FolderBlobs) -> None:
    (answer,) = read_pages(blobs, page_of(blobs, png()))
    read = read_of(answer)
    (block,) = read.blocks
    assert (block.kind, block.score) == ("text", 1)
    assert block.lines == tuple(range(len(read.lines)))
    assert len(read.lines) >= 2


def test_a_good_text_layer_is_taken_and_no_ocr_asked(blobs: FolderBlobs) -> None:
    class Unasked(FakeReader):
        def read(self, image: Image.Image) -> list[Found]:
            raise AssertionError("the page was read by OCR")

    lower, upper = Line(text="lower", box=(5, 50, 85, 60), score=1), Line(text="upper", box=(5, 10, 85, 20), score=1)
    hidden = TextLayer(verdict="invisible", lines=(Line(text="hidden", box=(5, 70, 85, 80), score=1),))
    layers = (TextLayer(verdict="good", lines=(lower, upper)), hidden)
    (answer,) = read_pages(blobs, page_of(blobs, png(), layers=layers), reader=Unasked())
    read = read_of(answer)
    assert (read.origin, read.engine.name, read.lines) == ("text_layer", "pdfium", (upper, lower))
    assert read.layers == (hidden,)


@pytest.mark.parametrize("verdict", ["invisible", "garbage", "partial"])
def test_any_other_text_layer_is_kept_beside_what_ocr_read(blobs: FolderBlobs, verdict: str) -> None:
    layer = TextLayer.model_validate({"verdict": verdict, "lines": [{"text": "x", "box": (1, 1, 5, 5), "score": 1}]})
    plain, layered = map(read_of, read_pages(blobs, *(page_of(blobs, png(), layers=found) for found in ((), (layer,)))))
    assert (layered.origin, layered.layers) == ("ocr", (layer,))
    assert layered.lines == plain.lines


DAMAGED = {
    "nothing": b"",
    "no picture": b"png",
    "a part": png()[:-40],
    "a head": png()[:60],
    "another size": png(width=91),
    "another mode": png(mode="RGBA"),
    "another type": b"GIF89a" + png()[6:],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_stored_picture_that_is_not_what_was_prepared_fails_its_page(blobs: FolderBlobs, content: bytes) -> None:
    answers = read_pages(blobs, page_of(blobs, png()), page_of(blobs, content), page_of(blobs, png(mode="RGB")))
    assert [isinstance(answer, DecodeFailed) for answer in answers] == [False, True, False]


def test_a_blank_page_goes_all_the_way_as_well(blobs: FolderBlobs) -> None:
    class Blind(FakeReader):
        def read(self, image: Image.Image) -> list[Found]:
            return []

    (answer,) = read_pages(blobs, page_of(blobs, png()), reader=Blind())
    assert read_of(answer).blocks == ()
    embedded = task(run_one(Embed(FakeEmbedder()), run_one(Chunk(), records(answer)[0])[0])[0]).payload
    assert isinstance(embedded, ChunksEmbedded)
    assert embedded.chunks == ()


def test_a_reader_that_answers_nonsense_fails_the_one_page(blobs: FolderBlobs) -> None:
    class Mad(FakeReader):
        def read(self, image: Image.Image) -> list[Found]:
            score = math.nan if image.width == 13 else 0.5
            return [Found("text", ((1, 1), (5, 1), (5, 5), (1, 5)), score)]

    pages = [page_of(blobs, png(width=width), width=width) for width in (90, 13, 90)]
    answers = read_pages(blobs, *pages, reader=Mad())
    assert [isinstance(answer, ModelOutputInvalid) for answer in answers] == [False, True, False]


def test_a_layout_model_that_answers_nonsense_fails_the_one_page(blobs: FolderBlobs) -> None:
    class Mad(FakeLayoutFinder):
        def regions(self, image: Image.Image) -> list[Region]:
            return [Region("text", (0, 0, math.nan if image.width == 13 else 9, 9), 0.5)]

    pages = [page_of(blobs, png(width=width), width=width) for width in (90, 13, 90)]
    answers = Ocr(FakeReader(), Mad(), blobs).run([first_task(page, 1) for page in pages])
    assert [isinstance(answer, ModelOutputInvalid) for answer in answers] == [False, True, False]


def test_passages_of_a_document_without_pictures_have_no_boxes() -> None:
    lines = (Line(text="1 Weirs", score=1), Line(text="The pump was taken out of service on Tuesday.", score=1))
    engine = {"name": "python-docx", "model": "", "version": "1", "digest": ""}
    read = PageRead.model_validate(
        {
            "origin": "document",
            "lines": lines,
            "engine": engine,
            "blocks": [{"kind": "heading", "lines": (0,)}, {"kind": "text", "lines": (1,)}],
        }
    )
    (answer,) = Chunk().run([first_task(read, 1)])
    chunked = task(records(answer)[0]).payload
    assert isinstance(chunked, PageChunked)
    assert (chunked.width, chunked.height) == (None, None)
    (chunk,) = chunked.chunks
    assert (chunk.text, chunk.box, chunk.boxes, chunk.language) == (
        "\n".join(line.text for line in lines),
        None,
        (),
        "en",
    )


def test_a_batch_of_pages_gets_each_its_own_vectors() -> None:
    read = [FakeReader().read(Image.new("L", (90, 90), number)) for number in range(5)]
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

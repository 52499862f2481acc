"""prepare: what becomes of each kind of document, with a real child and a real folder of blobs."""

import io
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import docx
import pytest
from PIL import Image

from deploy.local.samples import typed
from processors.engines.fakes import FakeOrienter
from processors.engines.ports import Turn
from processors.steps.prepare import Prepare
from schemas.documents import DocumentPrepared, Line, PagePrepared, PageRead, Payload, SliceReleased
from schemas.errors import HeadraceError
from schemas.media import DOCX
from schemas.pages import sections_key
from schemas.records import Outgoing
from schemas.settings import Settings
from schemas.topics import CHUNK, EVENTS, OCR_INTERACTIVE
from sinks.blobs import FolderBlobs
from tests.unit.decoding.documents import pdf_page, words
from tests.unit.steps.tasks import JOB, first_task, task


class Told(FakeOrienter):
    """Says what it was told to say, and counts how often it was asked."""

    answer = Turn(0, 0.0, 1.0)
    asked = 0

    def turn(self, image: Image.Image) -> Turn:
        self.asked += 1
        return self.answer


@pytest.fixture
def orienter() -> Told:
    return Told()


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def prepare(orienter: Told, blobs: FolderBlobs) -> Iterator[Prepare]:
    step = Prepare(orienter, blobs, Settings())
    step.load()
    yield step
    step.close()


def run(step: Prepare, blobs: FolderBlobs, content: bytes) -> Sequence[Outgoing]:
    (answer,) = step.run([first_task(SliceReleased(source=blobs.put(f"demo/{uuid.uuid4()}", content), last=32))])
    assert not isinstance(answer, HeadraceError), answer
    return answer


def page_of(record: Outgoing) -> PagePrepared:
    payload = task(record).payload
    assert isinstance(payload, PagePrepared)
    return payload


def test_an_office_document_needs_no_reading_and_has_no_boxes(prepare: Prepare, blobs: FolderBlobs) -> None:
    document, file = docx.Document(), io.BytesIO()
    document.add_heading("Intake report", 1)
    document.add_paragraph("The trash rack was cleared on Friday.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Flow", "12 m3/s"
    document.save(file)
    counted, *pages = run(prepare, blobs, file.getvalue())
    assert task(counted).payload == DocumentPrepared(pages=1, media_type=DOCX)
    assert [record.topic for record in pages] == [CHUNK.name, EVENTS.name]
    read = task(pages[0]).payload
    assert isinstance(read, PageRead)
    assert task(pages[1]).payload == read
    assert task(pages[0]).envelope.id == task(pages[1]).envelope.id
    assert [line.text for line in read.lines] == [
        "Intake report", "The trash rack was cleared on Friday.", "Flow", "12 m3/s"
    ]  # fmt: skip
    assert {line.box for line in read.lines} == {None}
    assert (read.width, read.height, read.image, read.origin) == (None, None, None, "document")
    assert [(block.kind, block.rows) for block in read.blocks] == [("heading", ()), ("text", ()), ("table", ((2, 3),))]
    assert read.engine.name == "python-docx"


def test_a_long_text_is_parsed_once_and_goes_on_slice_by_slice(prepare: Prepare, tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    text = "\n\n".join(f"Paragraph {number} " + "of the log book " * 60 for number in range(60))
    source = blobs.put(f"demo/{uuid.uuid4()}", text.encode())

    def made(first: int, last: int) -> list[tuple[uuid.UUID, int, Payload]]:
        (answer,) = prepare.run([first_task(SliceReleased(source=source, first=first, last=last))])
        assert not isinstance(answer, HeadraceError), answer
        read = [task(record) for record in answer]
        return [(one.envelope.id, one.envelope.part, one.payload) for one in read]

    whole = made(1, 1000)
    (counted,) = [payload for _, _, payload in whole if isinstance(payload, DocumentPrepared)]
    assert counted.pages > 8
    assert not counted.whole
    cut = made(1, 3)
    stored = sections_key("demo", JOB, 2)
    assert blobs.find(stored)
    (tmp_path / "blobs" / source.key).rename(tmp_path / "away")
    cut += made(4, 7)
    (tmp_path / "away").rename(tmp_path / "blobs" / source.key)
    (tmp_path / "blobs" / stored).unlink()
    cut += made(8, counted.pages + 5)
    assert cut == whole


def test_a_good_text_layer_travels_with_its_page_which_nobody_turns(
    prepare: Prepare, orienter: Told, blobs: FolderBlobs, tmp_path: Path
) -> None:
    lines = typed(tmp_path / "typed.pdf")
    _, record = run(prepare, blobs, (tmp_path / "typed.pdf").read_bytes())
    page = page_of(record)
    (layer,) = page.layers
    assert (layer.verdict, [line.text for line in layer.lines]) == ("good", lines)
    assert all(line.box is not None and line.box[2] <= page.width for line in layer.lines)
    assert (record.topic, orienter.asked) == (OCR_INTERACTIVE.name, 0)


def test_a_picture_is_stored_as_it_stands_upright(prepare: Prepare, orienter: Told, blobs: FolderBlobs) -> None:
    orienter.answer = Turn(90, 0.0, 1.0)
    sideways, file = Image.new("L", (120, 80), 255), io.BytesIO()
    sideways.paste(0, (0, 60, 20, 80))  # the lower left corner, which a turn clockwise brings to the upper left
    sideways.save(file, "PNG")
    _, record = run(prepare, blobs, file.getvalue())
    page = page_of(record)
    stored = Image.open(io.BytesIO(blobs.read(page.image)))
    assert (page.turned, page.width, page.height, stored.size) == (90, 80, 120, (80, 120))
    assert (stored.getpixel((5, 5)), stored.getpixel((5, 115))) == (0, 255)


@pytest.mark.parametrize(("skew", "kept"), [(0.0, True), (2.0, False)])
def test_a_hidden_layer_moves_with_its_page_where_that_is_exact(
    prepare: Prepare, orienter: Told, blobs: FolderBlobs, skew: float, *, kept: bool
) -> None:
    content = pdf_page(words("What a scanner wrote", 20, 100, mode=3))
    before = _only_line(page_of(run(prepare, blobs, content)[1]))
    orienter.answer = Turn(180, skew, 1.0)
    page = page_of(run(prepare, blobs, content)[1])
    after = _only_line(page)
    assert (page.turned, page.layers[0].verdict, after.text) == (180, "invisible", "What a scanner wrote")
    assert before.box is not None
    left, top, right, bottom = before.box
    moved = (page.width - right, page.height - bottom, page.width - left, page.height - top)
    assert after.box == (moved if kept else None)


def test_a_page_whose_text_runs_sideways_is_turned_with_its_text(
    prepare: Prepare, orienter: Told, blobs: FolderBlobs
) -> None:
    orienter.answer = Turn(90, 0.0, 0.3)
    upwards = b"BT /F1 12 Tf 0 1 -1 0 60 20 Tm (Lines that run up the page) Tj ET"
    page = page_of(run(prepare, blobs, pdf_page(upwards))[1])
    line = _only_line(page)
    assert (page.layers[0].verdict, page.turned, line.text) == ("good", 90, "Lines that run up the page")
    assert page.width < page.height
    assert line.box is not None
    assert line.box[2] - line.box[0] > 5 * (line.box[3] - line.box[1])


def _only_line(page: PagePrepared) -> Line:
    ((line,),) = (layer.lines for layer in page.layers)
    return line


def test_what_a_camera_left_in_the_file_is_not_in_the_stored_picture(prepare: Prepare, blobs: FolderBlobs) -> None:
    photograph, file = Image.new("RGB", (90, 60), (200, 10, 10)), io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "the author's name"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    photograph.save(file, "JPEG", exif=exif, comment=b"a secret comment")
    _, record = run(prepare, blobs, file.getvalue())
    assert _chunks(blobs.read(page_of(record).image)) == {b"IHDR", b"IDAT", b"IEND"}


def _chunks(png: bytes) -> set[bytes]:
    found, at = set(), 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        found.add(png[at + 4 : at + 8])
        at += 12 + size
    return found

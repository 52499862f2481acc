"""`headrace show`: one file that holds all it shows, shows what was read where, and runs nothing of a document."""

import base64
import hashlib
import re
from pathlib import Path

import lxml.html
import pytest
import typer
from typer.testing import CliRunner, Result

from cli import jobs, show
from cli.errors import CliError, Exit
from cli.show_tables import cells
from schemas.documents import Block, EngineStamp, Line, TextLayer, Times
from schemas.errors import BlobMissing, DecodeFailed
from schemas.jobs import Failure, JobResult, JobState, JobView, PageProgress, PageResult, picture_path
from tests.fakes import World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
STAMP = EngineStamp(name="rapidocr", model="PP-OCR", version="1", digest="0123456789abcdef")
HOSTILE = "<script>alert(1)</script>"
BREAKOUT = '" onmouseover="alert(2)" x="\'></title></svg></style><img src=x onerror=alert(3)>'


@pytest.fixture
def job(world: World) -> str:
    return world.ids.issue("demo")


def picture_page(job: str, number: int = 1, text: str = "Total") -> PageResult:
    lines = [
        Line(text=text, box=(10, 20, 110, 40), score=0.979),
        Line(text="99 EUR", box=(120, 20, 180, 40), score=0.42),
        Line(text="alone", box=(10, 60, 60, 80), score=0.95),
    ]
    table = Block(kind="table", box=(5, 15, 190, 45), score=0.91, lines=(0, 1), rows=((0, 1),))
    return PageResult(
        page=number, width=200, height=100, image=picture_path(job, number), text="", lines=lines,
        blocks=[table, Block(kind="figure", box=(0, 90, 9, 99), score=0.5)], engine=STAMP, times=Times(run=1.5),
    )  # fmt: skip


def ended(world: World, job: str, *pages: PageResult, errors: tuple[Failure, ...] = (), total: int = 1) -> None:
    """The job has ended with these pages; those with a picture have one in the store."""
    state = JobState.PARTIAL if errors else JobState.SUCCEEDED
    for page in pages:
        if page.image is not None:
            key = f"demo/{job}/pages/1/{page.page:05d}.png"
            world.jobs.pictures["demo", job, page.page] = world.blobs.put(key, PNG)
    progress = [PageProgress(page=number, state="queued") for number in range(1, total + 1)]
    world.jobs.views["demo", job] = JobView(
        id=job, state=state, filename="invoice.pdf", pages_total=total, pages=progress
    )
    world.jobs.results["demo", job] = JobResult(
        id=job, state=state, document_id="inv-1", document_sha256="ab" * 32, revision=1, plan="cd" * 32,
        pages=list(pages), errors=list(errors),
    )  # fmt: skip


def run(*words: object) -> Result:
    app = typer.Typer()
    for verb in (show, jobs):
        verb.register(app)
    return CliRunner().invoke(app, [str(word) for word in words], env={"HEADRACE_API_KEY": "demo-key"})


def shown(url: str, job: str, tmp_path: Path) -> lxml.html.HtmlElement:
    out = tmp_path / "page.html"
    result = run("show", job, "--out", out, "--url", url)
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.stdout == f"{out}\n"
    return lxml.html.document_fromstring(out.read_bytes())


def texts(page: lxml.html.HtmlElement, path: str) -> list[str]:
    return [" ".join(found.text_content().split()) for found in page.xpath(path)]


def test_the_picture_stands_with_its_boxes_scores_and_text(url: str, world: World, job: str, tmp_path: Path) -> None:
    ended(world, job, picture_page(job))
    page = shown(url, job, tmp_path)
    [image] = page.xpath("//img")
    assert base64.b64decode(image.get("src").removeprefix("data:image/png;base64,")) == PNG
    assert page.xpath("string(//*[local-name()='svg']/@viewbox)") == "0 0 200 100"
    blocks, lines = ("//*[@class='blocks']//rect", "//*[@class='lines']//rect")
    corners = ("x", "y", "width", "height")
    assert [[float(rect.get(name)) for name in corners] for rect in page.xpath(blocks)] == [
        [5, 15, 185, 30],
        [0, 90, 9, 9],
    ]
    assert [float(rect.get("x")) for rect in page.xpath(lines)] == [10, 120, 10]
    assert texts(page, "//*[@class='blocks']//text") == ["table 91%", "figure 50%"]
    assert [rect.get("class") for rect in page.xpath(lines)] == [None, "low", None]
    assert texts(page, "//td") == ["Total", "99 EUR42%"]
    assert texts(page, "//article//*[contains(@class,'k-outside')]/p[2]") == ["alone"]
    assert texts(page, "//section//*[contains(@class,'doubt')]") == [
        "confidence 76%",
        "1 of 3 lines doubtful",
    ]
    assert "read off the picture" in texts(page, "//section/header")[0]
    assert {line.get("data-of") for line in page.xpath("//article//*[@data-of]")} == {
        rect.get("data-of") for rect in page.xpath(lines)
    }
    head = texts(page, "//header[@class='job']")[0]
    for told in ("invoice.pdf", "succeeded", job, "inv-1", "ab" * 32, "cd" * 6, "rapidocr", "0123456789ab"):
        assert told in head


def test_a_documents_markup_is_text_wherever_it_is_told(url: str, world: World, job: str, tmp_path: Path) -> None:
    for text in (HOSTILE, BREAKOUT, "{{ 7 * 7 }}{% raw %}", "a\x00b\x1b[31m"):
        page = picture_page(job, text=text)
        stamp = STAMP.model_copy(update={"name": text, "model": text})
        layer = TextLayer(verdict="invisible", lines=(Line(text=text, score=1),))
        page = page.model_copy(update={"layers": [layer], "engine": stamp})
        ended(world, job, page, errors=(Failure(page=0, step=text, code=text, detail=text),))
        world.jobs.views["demo", job] = world.jobs.views["demo", job].model_copy(update={"filename": text})
        world.jobs.results["demo", job] = world.jobs.results["demo", job].model_copy(update={"document_id": text})
        parsed = shown(url, job, tmp_path)
        assert len(parsed.xpath("//script")) == 1
        assert len(parsed.xpath("//style")) == len(parsed.xpath("//img")) == len(parsed.xpath("//svg")) == 1
        assert not [name for element in parsed.iter() for name in element.keys() if name.startswith("on")]  # noqa: SIM118
        plain = " ".join(re.sub("[\x00-\x1f]", " ", text).split())
        assert texts(parsed, "//td")[0] == plain
        assert texts(parsed, "//h1") == texts(parsed, "//details/p") == [plain]
        assert texts(parsed, "//*[@class='failure']") == [f"{plain} in step {plain}: {plain}"]


def test_the_page_asks_for_nothing_and_allows_only_its_own_style_and_script(
    url: str, world: World, job: str, tmp_path: Path
) -> None:
    ended(world, job, picture_page(job))
    page = shown(url, job, tmp_path)
    policy = page.xpath("string(//meta[@http-equiv='Content-Security-Policy']/@content)")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    own = {}
    for kind in ("script", "style"):
        [element] = page.xpath(f"//{kind}")
        digest = hashlib.sha256(element.text.encode()).digest()
        own[f"{kind}-src"] = f"'sha256-{base64.b64encode(digest).decode()}'"
        assert not element.keys()
        assert "url(" not in element.text
        assert "@import" not in element.text
    assert rules == own | {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert page.xpath("//head/*")[:2] == page.xpath("//meta")[:2], "the policy comes before what it rules"
    for element in page.iter():
        for name in ("src", "href", "action", "srcset", "data", "poster", "style"):
            value = element.get(name, "#")
            assert value.startswith(("#", "data:image/png;base64,")), (element.tag, name)


def test_pages_without_pictures_failed_and_unread_ones_are_told_in_their_order(
    url: str, world: World, job: str, tmp_path: Path
) -> None:
    words = [Line(text=text, score=1) for text in ("Report", "Q1", "12", "Q2")]
    blocks = [Block(kind="heading", lines=(0,)), Block(kind="table", lines=(1, 2, 3), rows=((1, 2), (3,)))]
    section = PageResult(
        page=3, origin="document", text="", lines=words, blocks=blocks, engine=STAMP, times=Times()
    )  # fmt: skip
    failed = Failure(page=2, step="ocr", code="decode_failed", detail="it broke")
    ended(world, job, picture_page(job), section, errors=(failed,), total=4)
    page = shown(url, job, tmp_path)
    assert texts(page, "//section//h2") == ["Page 1", "Page 2", "Page 3", "Page 4"]
    assert [link.get("href") for link in page.xpath("//nav//a")] == [f"#page-{number}" for number in range(1, 5)]
    assert {f"#{section.get('id')}" for section in page.xpath("//section")} == {
        link.get("href") for link in page.xpath("//nav//a")
    }
    assert texts(page, "//section[@id='page-2']/p") == ["decode_failed in step ocr: it broke"]
    assert texts(page, "//section[@id='page-3']//*[@class='note']") == ["No page images: no boxes."]
    assert not page.xpath("//section[@id='page-3']//img | //section[@id='page-3']//*[@class='lines']")
    assert texts(page, "//section[@id='page-3']//h3") == ["Report"]
    assert [texts(row, "./td") for row in page.xpath("//section[@id='page-3']//tr")] == [["Q1", "12"], ["Q2", ""]]
    assert texts(page, "//section[@id='page-4']/p") == ["This page was not read."]


def test_indices_that_point_nowhere_are_passed_over(url: str, world: World, job: str, tmp_path: Path) -> None:
    page = picture_page(job)
    wild = Block(kind="table", box=(0, 0, 1, 1), lines=(0, 1, 99), rows=((0, 77), (55, -1)))
    text = Block(kind="text", lines=(-1, 99))
    ended(world, job, page.model_copy(update={"blocks": [wild, text]}))
    parsed = shown(url, job, tmp_path)
    assert texts(parsed, "//td") == ["Total"]
    assert texts(parsed, "//*[contains(@class,'k-outside')]/p[2]") == ["99 EUR42% alone"], "no line is lost"


def test_a_picture_that_is_no_longer_kept_leaves_the_text(url: str, world: World, job: str, tmp_path: Path) -> None:
    ended(world, job, picture_page(job))
    _fail(world, BlobMissing())
    page = shown(url, job, tmp_path)
    assert texts(page, "//section//p[@class='note']")[0] == "The picture of this page is no longer kept."
    assert texts(page, "//td")[0] == "Total"


def test_a_page_that_cannot_be_made_whole_leaves_what_was_there(
    url: str, world: World, job: str, tmp_path: Path
) -> None:
    ended(world, job, picture_page(job), picture_page(job, 2))
    _fail(world, DecodeFailed("it differs"))
    out = tmp_path / "kept.html"
    out.write_text("earlier")
    error = run("show", job, "--out", out, "--url", url).exception
    assert isinstance(error, CliError)
    assert "[internal]" in str(error)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("kept.html", "earlier")]


def _fail(world: World, error: Exception) -> None:
    def broken(claim: object) -> bytes:
        raise error

    world.blobs.read = broken  # type: ignore[method-assign]  # a store that lost or changed its bytes


def test_a_job_that_runs_or_a_folder_that_is_not_there_is_told(
    url: str, world: World, job: str, tmp_path: Path
) -> None:
    error = run("show", job, "--url", url, "--out", tmp_path / "x.html").exception
    assert isinstance(error, CliError)
    assert "[not_ready]" in str(error)
    ended(world, job, picture_page(job))
    error = run("show", job, "--url", url, "--out", tmp_path / "no" / "x.html").exception
    assert isinstance(error, CliError)
    assert (error.code, list(tmp_path.iterdir())) == (Exit.USAGE, [])


def test_without_a_name_the_file_is_called_by_the_job_and_opened_when_asked(
    url: str, world: World, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", opened.append)
    monkeypatch.chdir(tmp_path)
    ended(world, job, picture_page(job))
    run("show", job, "--url", url)
    assert opened == []
    run("show", job, "--url", url, "--open")
    assert [path.name for path in tmp_path.iterdir()] == [f"{job}.html"]
    assert opened == [(tmp_path / f"{job}.html").as_uri()]


def test_jobs_get_says_of_a_page_without_a_picture_that_it_has_no_boxes(url: str, world: World, job: str) -> None:
    line = Line(text="Dear all", score=1)
    page = PageResult(page=1, origin="document", text="", lines=[line], engine=STAMP, times=Times())
    ended(world, job, page)
    result = run("jobs", "get", job, "--result", "--url", url)
    assert result.stdout == "Dear all\n"
    assert "no picture, no boxes" in result.stderr


def boxed(*places: tuple[float, float]) -> list[Line]:
    return [Line(text=str(index), box=(left, 0, right, 9), score=1) for index, (left, right) in enumerate(places)]


@pytest.mark.parametrize(
    ("rows", "places", "table"),
    [
        ([], [], []),
        ([[]], [], []),
        ([[0, 1], [2]], [(0, 9), (20, 29), (21, 25)], [[[0], [1]], [[], [2]]]),
        # a heading of two lines over the first column, one that spans both, and a cell that is missing
        ([[0, 1, 2], [3, 4], [5]], [(0, 9), (1, 8), (5, 30), (0, 4), (20, 30), (1, 3)],
         [[[0, 1], [2]], [[3], [4]], [[5], []]]),
        ([[0], [1, 2]], [(100, 110), (0, 9), (20, 29)], [[[], [0]], [[1], [2]]]),
    ],
)  # fmt: skip
def test_cells_stand_below_the_cells_they_belong_to(
    rows: list[list[int]], places: list[tuple[float, float]], table: list[list[list[int]]]
) -> None:
    assert cells(rows, boxed(*places)) == table


def test_rows_of_lines_without_boxes_are_filled_up() -> None:
    lines = [Line(text="x", score=1)] * 3
    assert cells([[0, 1], [2]], lines) == [[[0], [1]], [[2], []]]

"""`headrace eval`: how well this checkout reads, on drawn pages or on real documents with truth."""

import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CliError, Exit
from cli.output import AsJson, note, plain, show, show_json

if TYPE_CHECKING:
    from processors.evaluation.product import Product
    from processors.evaluation.run import Scored

Data = Annotated[
    Path | None,
    typer.Option("--data", exists=True, file_okay=False, help="A folder of documents; without it, pages drawn here."),
]
Quick = Annotated[bool, typer.Option("--quick", help="Nine of the drawn pages.")]
Out = Annotated[Path, typer.Option("--out", help="Where pictures of the worst pages go.")]
_OUT = Path("build/eval")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    family = typer.Typer(no_args_is_help=True, help="How well the engines and steps read, without a stack.")
    app.add_typer(family, name="eval")

    @family.command()
    def ocr(*, data: Data = None, quick: Quick = False, as_json: AsJson = False, out: Out = _OUT) -> None:
        """Character error rate (without blanks, in reading order) and share of the words found."""
        with _product() as product:
            report = _reports(product, data, out, quick=quick)[0]
        _print(report, as_json=as_json, figures=("cer", "word_recall"))

    @family.command()
    def layout(*, data: Data = None, quick: Quick = False, as_json: AsJson = False, out: Out = _OUT) -> None:
        """Reading order, and, on drawn pages, how regions cover and name the blocks that were drawn."""
        with _product() as product:
            report = _reports(product, data, out, quick=quick)[1]
        _print(report, as_json=as_json, figures=("order_right", "tau", "matched", "mean_iou", "class_recall"))

    @family.command()
    def page(
        path: Annotated[Path, typer.Argument(help="The page whose measured part is replaced.")],
        *,
        data: Data = None,
        quick: Quick = False,
        out: Out = _OUT,
    ) -> None:
        """Run all of it, and write the tables into a page such as docs/accuracy.md."""
        from processors.evaluation.page import measured, with_measured

        begun = time.monotonic()
        with _product() as product:
            drawn = _reports(product, None, out / "drawn", quick=quick)
            documents = _reports(product, data, out / "data", quick=quick) if data else (None, None)
        text = measured(_about(time.monotonic() - begun), *drawn, *documents)
        path.write_text(with_measured(path.read_text("utf-8"), text), "utf-8")
        note(f"written into {path}")


def _reports(product: "Product", data: Path | None, out: Path, *, quick: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The text report and the layout report of one run."""
    from processors.evaluation.pictures import draw_worst
    from processors.evaluation.reports import layout_report, text_report
    from processors.evaluation.run import Evaluation, documents, rendered

    evaluation = Evaluation(product, note if sys.stderr.isatty() else lambda _line: None)
    pages = list(evaluation.scored(documents(data) if data else rendered(quick=quick)))
    text, layout = (report(pages, evaluation.outcomes) for report in (text_report, layout_report))
    text["worst"] = draw_worst(pages, lambda page: page.text.cer, product, out / "ocr")
    layout["worst"] = draw_worst(pages, _disorder, product, out / "layout")
    return text, layout


def _disorder(page: "Scored") -> float:
    return 1 - page.order.tau * page.order.matched


@contextmanager
def _product() -> Iterator["Product"]:
    """The steps as the workers build them, on a folder that is gone afterwards."""
    if importlib.util.find_spec("rapidfuzz") is None:
        raise CliError("the scores need rapidfuzz", Exit.USAGE, "pip install 'headrace-server[eval]'")
    from processors.engines.factory import layout_finder, orienter, reader
    from processors.evaluation.product import Product
    from processors.steps.ocr import Ocr
    from processors.steps.prepare import Prepare
    from schemas.settings import Settings
    from sinks.blobs import FolderBlobs

    settings = Settings()
    with tempfile.TemporaryDirectory(prefix="headrace-eval-") as folder:
        blobs = FolderBlobs(Path(folder))
        prepare = Prepare(orienter(settings), blobs, settings)
        ocr = Ocr(reader(settings), layout_finder(settings), blobs)
        try:
            prepare.load()
            ocr.load()
            yield Product(prepare, ocr, blobs)
        finally:
            prepare.close()


def _about(seconds: float) -> str:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)  # noqa: S607
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return (
        f"Written by `headrace eval page` on {at}, {os.cpu_count()} cores ({platform.machine()}),\n"
        f"Python {platform.python_version()}, commit {commit.stdout.strip() or 'unknown'}, {seconds:.0f} s."
    )


def _print(report: dict[str, Any], *, as_json: bool, figures: tuple[str, ...]) -> None:
    if as_json:
        show_json(report)
        return
    for row in report["files"]:
        show(plain(f"{row['file']} p{row['page']}  {row['error'] or _figures(row, figures)}"))
    for row in report["outcomes"]:
        if row["expected"] not in (None, row["outcome"]):
            show(plain(f"{row['file']}  came to {row['outcome']}, not to {row['expected']}"))
    for group, row in report["groups"].items():
        show(f"{group}  {_figures(row, figures)}  pages {row['pages']}")
    show(f"all  {_figures(report, figures)}  pages {report['pages']}")
    for path in report["worst"]:
        note(f"worst: {path}")


def _figures(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return "  ".join(f"{name} {row[name]}" for name in names if row.get(name) is not None)

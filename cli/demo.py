"""`headrace demo`: the main job on real input, from nothing to a search hit; then everything is stopped again."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError, Exit
from cli.output import DATA_DIR, note, plain, show

if TYPE_CHECKING:
    from cli.client import Client
    from schemas.jobs import JobResult, SearchResponse

_PATIENCE = 180.0  # seconds for the stack to be ready, and again for the job: a first start formats and compiles
_QUERY = "total amount due"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo(
        data_dir: Annotated[Path, typer.Option(help="Where the demonstration's stack keeps its data.")] = DATA_DIR
        / "demo",
    ) -> None:
        """Start the embedded stack, read scans, a photograph and a PDF through it, search, stop the stack."""
        from cli.client import Client, Server

        begun = time.monotonic()
        data = data_dir.absolute()
        with _stack(data):
            note(f"stack ready in {time.monotonic() - begun:.1f} s")
            with Client(Server.find(None, None, data)) as client:
                _read_and_search(client, data)
        note(f"stack stopped; {time.monotonic() - begun:.1f} s in all")


@contextmanager
def _stack(data: Path) -> Iterator[None]:
    """A running stack on `data`, stopped however the block ends; raises `CliError` when it does not come up."""
    from deploy.local.children import StartFailed
    from deploy.local.session import Session

    session = Session(data, patience=_PATIENCE)
    note(f"starting Kafka, PostgreSQL and the platform's processes (log: {session.log})")
    try:
        with session:
            yield
    except StartFailed as error:
        raise CliError(str(error), Exit.UNREACHABLE, "run: headrace doctor") from error


def _read_and_search(client: "Client", data: Path) -> None:
    from deploy.local import samples
    from schemas.jobs import SearchRequest

    documents = {name: data / name for name in ("invoice.pdf", "photograph.jpg", "fax.tiff", "typed.pdf")}
    samples.invoice(documents["invoice.pdf"])
    samples.photograph(documents["photograph.jpg"])
    samples.fax(documents["fax.tiff"])
    samples.typed(documents["typed.pdf"])
    (invoice,) = _read(client, data, [documents.pop("invoice.pdf")])
    _show_text(invoice)
    _show_hit(client.search(SearchRequest(query=_QUERY, limit=1, document_id=invoice.document_id)))
    show("")
    others = _read(client, data, documents.values())
    for path, result in zip(documents.values(), others, strict=True):
        show(f"{path.name}: {len(result.pages)} pages, by {result.pages[0].origin}: {plain(_first_line(result))}")
    _write_pages(client, data, [invoice, *others])


def _read(client: "Client", data: Path, documents: Iterable[Path]) -> "list[JobResult]":
    """Submit all, wait for all; their results in order. Raises `CliError` where one did not succeed."""
    from cli.waiting import wait
    from schemas.jobs import JobState

    begun = time.monotonic()
    until = begun + _PATIENCE
    jobs = [(client.submit(document, {}, until=until)["id"], document.name) for document in documents]
    for job, name in jobs:
        note(f"submitted {name} over HTTP: {job}")
    views = {view.id: view for view in wait(client, [job for job, _ in jobs], until)}
    for job, name in jobs:
        view = views[job]
        if view.state is not JobState.SUCCEEDED:
            reasons = "; ".join(f"page {error.page}: {error.code}" for error in view.errors) or "it took too long"
            told = f"{name} is {view.state.value}: {reasons}"
            raise CliError(told, Exit.FAILED, f"look into the logs in {data / 'logs'}")
    note(f"{sum(view.pages_done for view in views.values())} pages done in {time.monotonic() - begun:.1f} s")
    return [client.result(job) for job, _ in jobs]


def _first_line(result: "JobResult") -> str:
    return next((line.text for page in result.pages for line in page.lines), "")


def _write_pages(client: "Client", data: Path, results: "list[JobResult]") -> None:
    from cli.show import write

    show("\n-- what was read, drawn over the pictures (headrace show JOB); opens offline")
    for result in results:
        view = client.job(result.id)
        path = data / f"{view.filename or result.id}.html"
        write(client, view, result, path)
        show(str(path))


def _show_text(result: "JobResult") -> None:
    for page in result.pages:
        show(f"\n-- page {page.page} of {len(result.pages)}, {page.width}x{page.height} pixels")
        for line in page.lines:
            show(plain(line.text))


def _show_hit(found: "SearchResponse") -> None:
    from cli.search import box_of

    if not found.hits:
        raise CliError("the search found nothing of a job that succeeded", hint="this is a bug; please report it")
    hit = found.hits[0]
    show(f"\n-- search: {found.query}")
    show(f"score {hit.score:.3f}  document {hit.document_id}  page {hit.page}  box {box_of(hit)}")
    show(plain(hit.text))

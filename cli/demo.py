"""`headrace demo`: the main job on real input, from nothing to a search hit; then everything is stopped again."""

import time
from collections.abc import Iterator
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
        """Start the embedded stack, read a scanned invoice through it, search it, stop the stack."""
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
    from cli.waiting import wait
    from deploy.local.samples import invoice
    from schemas.jobs import JobState, SearchRequest

    document = data / "invoice.pdf"
    invoice(document)
    begun = time.monotonic()
    until = begun + _PATIENCE
    accepted = client.submit(document, {}, until=until)
    note(f"submitted {document.name} over HTTP: {accepted['id']}")
    view = wait(client, [(accepted["id"], document.name)], until)[accepted["id"]]
    if view.state is not JobState.SUCCEEDED:
        reasons = "; ".join(f"page {error.page}: {error.code}" for error in view.errors) or "it took too long"
        raise CliError(
            f"the job is {view.state.value}: {reasons}", Exit.FAILED, f"look into the logs in {data / 'logs'}"
        )
    note(f"{view.pages_done} pages done in {time.monotonic() - begun:.1f} s")
    _show_text(client.result(accepted["id"]))
    _show_hit(client.search(SearchRequest(query=_QUERY, limit=1, document_id=accepted["document_id"])))


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

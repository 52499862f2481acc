"""`headrace show JOB`: what was read, on the pictures it was read from, as one HTML file that opens offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.output import note, show

if TYPE_CHECKING:
    from cli.client import Client
    from schemas.jobs import JobResult, JobView

_NO_PICTURE = {404, 410}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("show")
    @connected
    def show_job(
        connect: Connect,
        job: Annotated[str, typer.Argument(help="The job's id, as `submit` printed it.", metavar="JOB")],
        *,
        out: Annotated[Path | None, typer.Option(help="The file to write; JOB.html by default.")] = None,
        open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    ) -> None:
        """Write a job's pages, boxes, text and scores into one HTML file that needs nothing beside it."""
        with connect() as client:
            view, result = client.job(job), client.result(job)
            path = (out or Path(f"{view.id}.html")).absolute()
            write(client, view, result, path)
        show(str(path))
        note(f"{len(result.pages)} pages, {path.stat().st_size / 1e6:.1f} MB; it opens offline")
        if open_it:
            typer.launch(path.as_uri())


def write(client: "Client", view: "JobView", result: "JobResult", path: Path) -> None:
    """Write the page of a job that has ended, whole or not at all; raises `CliError`."""
    from cli.show_page import render

    draft = path.with_name(f"{path.name}.draft")
    try:
        with draft.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(render(view, result, _pictures(client, result)))
        draft.replace(path)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", Exit.USAGE, "give another --out") from error
    finally:
        draft.unlink(missing_ok=True)


def _pictures(client: "Client", result: "JobResult") -> Iterator[bytes | None]:
    """Each page's PNG in turn, None where there is none (any more): one is held at a time."""
    from cli.problems import told
    from schemas.jobs import picture_path

    for page in result.pages:
        if page.image is None:
            yield None
            continue
        response = client.get(picture_path(result.id, page.page))
        if response.status_code not in _NO_PICTURE and response.is_error:
            raise told(response)
        yield response.content if response.status_code not in _NO_PICTURE else None

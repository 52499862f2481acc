"""`headrace jobs get ID`: how far a job is, or with `--result` what it found."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import DATA_DIR, ApiKey, AsJson, DataDir, Url, note, plain, show, show_json

if TYPE_CHECKING:
    from schemas.jobs import JobResult, JobView


def register(app: typer.Typer) -> None:
    """Add the commands."""
    jobs = typer.Typer(help="Look at jobs.", no_args_is_help=True)
    app.add_typer(jobs, name="jobs")

    @jobs.callback()
    def family() -> None:
        """Look at jobs."""

    @jobs.command()
    def get(
        job: Annotated[str, typer.Argument(help="The job's id, as `submit` printed it.", metavar="ID")],
        *,
        result: Annotated[bool, typer.Option("--result", help="Print what was read instead.")] = False,
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = DATA_DIR,
        as_json: AsJson = False,
    ) -> None:
        """Show a job, or its result."""
        from urllib.parse import quote

        from cli.client import Client, Server

        with Client(Server.find(url, api_key, data_dir)) as client:
            name = quote(job, safe="")
            if result:
                found = client.result(name)
                show_json(found.model_dump(mode="json")) if as_json else _show_result(found)
            else:
                view = client.job(name)
                show_json(view.model_dump(mode="json")) if as_json else _show_view(view)


def _show_view(view: "JobView") -> None:

    facts = {
        "job": view.id,
        "state": view.state.value + (" (cancelling)" if view.cancelling else ""),
        "document": f"{view.document_id or '?'} (revision {view.revision or '?'})",
        "pages": f"{view.pages_done}/{view.pages_total or '?'}",
        "created": view.created_at,
        "started": view.started_at,
        "finished": view.finished_at,
    }
    for name, value in facts.items():
        show(f"{name:9} {plain(str(value or '-'))}")
    for failure in view.errors:
        note(f"error: page {failure.page}: {failure.step}: {failure.code}: {plain(failure.detail)}")


def _show_result(result: "JobResult") -> None:

    for page in result.pages:
        size = "no picture, no boxes" if page.width is None else f"{page.width}x{page.height}"
        note(f"-- page {page.page} of {plain(result.document_id)} ({size})")
        for line in page.lines:
            show(plain(line.text))
    for failure in result.errors:
        note(f"error: page {failure.page}: {failure.step}: {failure.code}: {plain(failure.detail)}")

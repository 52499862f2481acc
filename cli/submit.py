"""`headrace submit FILE…`: documents in, job ids out, and with `--wait` what became of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.errors import CliError, Exit
from cli.output import DATA_DIR, ApiKey, AsJson, DataDir, Url, note, plain, show, show_json

if TYPE_CHECKING:
    from cli.client import Client
    from schemas.jobs import JobView


@dataclass
class _Sent:
    """One file: what was accepted, or why not."""

    path: Path
    job: str = ""
    document_id: str = ""
    error: CliError | None = None
    view: "JobView | None" = None


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def submit(  # noqa: PLR0913 a command's options are its interface
        files: Annotated[
            list[Path], typer.Argument(help="PDF, pictures, office files, HTML, e-mail or text.", metavar="FILE...")
        ],
        *,
        wait: Annotated[bool, typer.Option("--wait", help="Wait until each job has ended.")] = False,
        timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 600,
        document_id: Annotated[str | None, typer.Option(help="Your name for the document (one file only).")] = None,
        lane: Annotated[Literal["interactive", "bulk"], typer.Option(help="How urgent it is.")] = "interactive",
        url: Url = None,
        api_key: ApiKey = None,
        data_dir: DataDir = DATA_DIR,
        as_json: AsJson = False,
    ) -> None:
        """Submit documents; exits 0, or 1 when one was refused or failed, 6 when waiting took too long."""
        import time

        from cli.client import Client, Server

        if document_id is not None and len(files) > 1:
            raise typer.BadParameter("a document id names one document; submit the files one by one")
        fields = {"lane": lane} | ({"document_id": document_id} if document_id is not None else {})
        until = time.monotonic() + timeout
        with Client(Server.find(url, api_key, data_dir)) as client:
            sent = _send(client, files, fields, until if wait else None)
            if wait:
                _wait(client, sent, until)
        _report(sent, as_json=as_json)
        raise typer.Exit(_code(sent, timed_out=wait and time.monotonic() >= until))


def _send(client: "Client", files: list[Path], fields: dict[str, str], until: float | None) -> list[_Sent]:
    """Each file in turn; a refused one does not stop the others, a lost server does."""
    sent = []
    for path in files:
        item = _Sent(path)
        sent.append(item)
        try:
            accepted = client.submit(path, fields, until=until)
        except CliError as error:
            item.error = error
            if error.code != Exit.FAILED:
                break
        else:
            item.job, item.document_id = accepted["id"], accepted["document_id"]
    return sent


def _wait(client: "Client", sent: list[_Sent], until: float) -> None:
    from cli.waiting import wait

    try:
        views = wait(client, [(item.job, item.path.name) for item in sent if item.job], until)
    except CliError as error:  # the ids are still to be told: the jobs go on without us
        for item in sent:
            item.error = item.error or error
    else:
        for item in sent:
            item.view = views.get(item.job)


def _report(sent: list[_Sent], *, as_json: bool) -> None:
    if as_json:
        show_json({"jobs": [_json(item) for item in sent]})
    for item in sent:
        if item.error is not None:
            note(f"error: {plain(item.job or item.path.name)}: {item.error}")
            if item.error.hint:
                note(f"hint: {item.error.hint}")
        elif item.view is None and not as_json:
            show(f"{item.job}\t{plain(item.path.name)}")
        elif item.view is not None and not as_json:
            pages = f"{item.view.pages_done}/{item.view.pages_total or '?'} pages"
            show(f"{item.job}\t{plain(item.path.name)}\t{item.view.state.value}\t{pages}")
            for failure in item.view.errors:
                note(f"error: page {failure.page}: {failure.step}: {failure.code}: {plain(failure.detail)}")


def _json(item: _Sent) -> dict[str, Any]:
    told = {"file": str(item.path), "id": item.job or None, "document_id": item.document_id or None}
    error = None if item.error is None else str(item.error)
    return {**told, "error": error, "job": item.view.model_dump(mode="json") if item.view else None}


def _code(sent: list[_Sent], *, timed_out: bool) -> int:
    from schemas.jobs import TERMINAL, JobState

    refused = [item.error.code for item in sent if item.error is not None]
    states = [item.view.state for item in sent if item.view is not None]
    if refused:
        return max(refused)
    if any(state in TERMINAL and state is not JobState.SUCCEEDED for state in states):
        return Exit.FAILED
    unfinished = len(states) < len(sent) or not TERMINAL.issuperset(states)
    return Exit.TIMEOUT if timed_out and unfinished else 0

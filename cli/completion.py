"""What the shell may complete: never slow, never an error."""

from pathlib import Path

import typer

from cli.output import DATA_DIR

_SECONDS = 1.0


def job_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest jobs, with state and file; none where the server does not answer at once."""
    try:
        from cli.client import Client, Server

        given = ctx.params
        data_dir = Path(given.get("data_dir") or DATA_DIR)
        with Client(Server.find(given.get("url"), given.get("api_key"), data_dir), seconds=_SECONDS) as client:
            found = client.jobs({"limit": "50"}).data
    except Exception:  # noqa: BLE001 an error would be typed into the line that the person is writing
        return []
    return [(job.id, f"{job.state.value} {job.filename or ''}") for job in found if job.id.startswith(incomplete)]


def topic_names(incomplete: str) -> list[str]:
    """The declared topics, by either name."""
    from schemas.topics import TOPICS

    names = [topic.name for topic in TOPICS]
    return [name for name in (*names, *(name.partition(".")[2] for name in names)) if name.startswith(incomplete)]

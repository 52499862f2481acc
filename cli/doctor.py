"""`headrace doctor`: what is well, what is not, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.output import DATA_DIR, ApiKey, AsJson, DataDir, Url, show_json

if TYPE_CHECKING:
    from cli.checks import Check

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def doctor(
        *, url: Url = None, api_key: ApiKey = None, data_dir: DataDir = DATA_DIR, as_json: AsJson = False
    ) -> None:
        """Check this machine, the embedded stack and the server; exits 1 when a check fails."""
        checks = list(_examine(url, api_key, data_dir))
        if as_json:
            show_json({"checks": [asdict(check) for check in checks]})
        else:
            _show(checks)
        raise typer.Exit(1 if any(check.state == "fail" for check in checks) else 0)


def _examine(url: str | None, api_key: str | None, data_dir: Path) -> "Iterator[Check]":
    from cli import checks, server_checks

    local: list[Callable[[], list[Check]]] = [
        checks.python, checks.packages, checks.models, checks.jars, lambda: checks.disk(data_dir),
    ]  # fmt: skip
    for examine in local:
        yield from examine()
    yield from server_checks.server(url, api_key, data_dir)
    yield from server_checks.topics(data_dir)
    yield from server_checks.migrations(data_dir)


def _show(checks: "list[Check]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "check", "found", "what to do")
    for check in checks:
        table.add_row(Text(check.state, _COLOURS[check.state]), Text(check.name), Text(check.detail), Text(check.fix))
    Console().print(table)

"""The `headrace` command: its verbs by family, and how each of them fails."""

import sys
from typing import Annotated

import typer
from typer.models import CommandInfo, TyperInfo

from cli import (
    demo,
    dlq,
    doctor,
    documents,
    evaluate,
    jars,
    jobs,
    keys,
    migrate,
    models,
    processes,
    reconcile,
    search,
    show,
    stack,
    steps,
    submit,
    tail,
    topics,
    webhooks,
)  # fmt: skip
from cli.errors import CliError, Exit
from schemas.errors import DependencyDown, HeadraceError

FAMILIES = {
    "Documents and jobs": (submit, search, jobs, documents, dlq, show, keys, webhooks),
    "This machine": (stack, doctor, demo, models, jars, evaluate),
    "The platform": (tail, steps, topics, migrate, reconcile, processes),
}


class _Wanted:
    """What the options before the verb ask for."""

    traceback = False


def build() -> typer.Typer:
    """The whole command."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def options(
        *, show_traceback: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False
    ) -> None:
        """Documents through OCR, chunking and embedding over Kafka, and nothing lost."""
        _Wanted.traceback = show_traceback

    for panel, families in FAMILIES.items():
        before = {id(entry) for entry in _entries(app)}
        for family in families:
            family.register(app)
        for entry in _entries(app):
            if id(entry) not in before:
                entry.rich_help_panel = panel
    return app


def _entries(app: typer.Typer) -> list[CommandInfo | TyperInfo]:
    return [*app.registered_commands, *app.registered_groups]


def main() -> None:
    """Run the command line; exits with one of `Exit`."""
    try:
        build()(prog_name="headrace")
    except Exception as error:
        if _Wanted.traceback:
            raise
        sys.exit(_tell(error))


def _tell(error: Exception) -> int:
    """Say what failed and what to do; the exit code."""
    told = _as_cli_error(error)
    typer.echo(f"error: {told}", err=True)
    if told.hint:
        typer.echo(f"hint: {told.hint}", err=True)
    return told.code


def _as_cli_error(error: Exception) -> CliError:
    if isinstance(error, CliError):
        return error
    if isinstance(error, DependencyDown):
        return CliError(str(error), Exit.UNREACHABLE, "see what is down: headrace status, headrace doctor")
    if isinstance(error, HeadraceError):
        return CliError(str(error))
    return CliError(f"{type(error).__name__}: {error}", Exit.FAILED, "headrace --debug COMMAND shows where")


if __name__ == "__main__":
    main()

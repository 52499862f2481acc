"""The `headrace` command: its verbs by family, and how each of them fails."""

import sys
from typing import Annotated

import typer

from cli import demo, doctor, evaluate, jars, jobs, models, search, show, stack, submit, topics
from cli.errors import CliError, Exit
from schemas.errors import DependencyDown, HeadraceError

FAMILIES = (stack, submit, search, jobs, show, topics, models, jars, doctor, evaluate, demo)


def main() -> None:
    """Run the command line; exits with one of `Exit`."""
    debug = False
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def options(
        *, show_traceback: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False
    ) -> None:
        """Documents through OCR, chunking and embedding over Kafka, and nothing lost."""
        nonlocal debug
        debug = show_traceback

    for family in FAMILIES:
        family.register(app)
    try:
        app(prog_name="headrace")
    except Exception as error:
        if debug:
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

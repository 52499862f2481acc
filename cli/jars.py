"""`headrace jars fetch`: Kafka's jars, ahead of the first `headrace up`."""

import typer

from cli.errors import CliError
from cli.output import Quiet, note


def register(app: typer.Typer) -> None:
    """Add the commands."""
    jars = typer.Typer(no_args_is_help=True, help="The jars of the embedded Kafka.")
    app.add_typer(jars, name="jars")

    @jars.callback()
    def _group() -> None: ...

    @jars.command()
    def fetch(*, quiet: Quiet = False) -> None:
        """Bring the jars that are missing in the cache, and check the sha256 of each."""
        from deploy.local import jars as local

        cache = local.default_cache()
        try:
            paths = local.ensure(cache, local.listed())
        except local.JarRefused as error:
            raise CliError(str(error)) from error
        if not quiet:
            note(f"{len(paths)} jars are in {cache}")

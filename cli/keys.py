"""`headrace keys list`, `create`, `rotate` and `revoke`."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.listing import Listing, ago
from cli.output import AsJson, AsLines, note, plain, show, show_json

if TYPE_CHECKING:
    from schemas.keys import ApiKey, KeyCreated

Id = Annotated[str, typer.Argument(help="The key's id: what stands between `hrk_` and the next `_`.", metavar="ID")]
_ONCE = "this key is told once and kept nowhere: store it now"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(help="API keys: what lets programs in.", no_args_is_help=True)
    app.add_typer(keys, name="keys")
    keys.command(name="list")(listed)
    keys.command()(create)
    keys.command()(rotate)
    keys.command()(revoke)


@connected
def listed(
    connect: Connect,
    *,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 100,
    as_json: AsLines = False,
) -> None:
    """List the tenant's keys, newest first; never their secrets."""
    from cli.paging import pages

    with connect() as client:
        _LISTING.print(pages(client.keys, limit, "keys"), as_json=as_json)


@connected
def create(
    connect: Connect,
    name: Annotated[str, typer.Argument(help="What it is for, for whoever reads the list.", metavar="NAME")],
    *,
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may do; may be repeated. Without: all that you may.")
    ] = None,
    days: Annotated[float | None, typer.Option("--expires-in-days", help="How long it is good.", min=0.001)] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", help="What it may use: `requests=60/minute`; may be repeated.", metavar="NAME=RATE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    _check(scopes or [])
    wanted = {"name": name, "scopes": scopes or None, "expires_in_days": days, "limits": _limits(limits or [])}
    with connect() as client:
        _tell(client.create_key(wanted), as_json=as_json)


@connected
def rotate(
    connect: Connect,
    key: Id,
    *,
    overlap: Annotated[
        float, typer.Option("--overlap-hours", help="How long the old secret goes on being good.", min=0)
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret and print it, this once."""
    with connect() as client:
        _tell(client.rotate_key(key, overlap), as_json=as_json)


@connected
def revoke(connect: Connect, key: Id, *, as_json: AsJson = False) -> None:
    """End a key for good, with its access tokens and open event streams."""
    with connect() as client:
        ended = client.revoke_key(key)
    if as_json:
        show_json(ended.model_dump(mode="json"))
    else:
        show(f"{ended.id}\t{ended.state}")


def _check(scopes: list[str]) -> None:
    from schemas.scopes import EVERY_SCOPE

    if unknown := [scope for scope in scopes if scope not in EVERY_SCOPE]:
        known = ", ".join(sorted(EVERY_SCOPE))
        raise CliError(f"there is no scope {plain(unknown[0])!r}", Exit.USAGE, f"one of: {known}")


def _limits(given: list[str]) -> dict[str, str] | None:
    from pydantic import ValidationError

    from schemas.limits import NewLimits

    told = {name: rate for name, _, rate in (each.partition("=") for each in given)}
    try:
        NewLimits.model_validate(told)
    except ValidationError as error:
        hint = f"--limit NAME=RATE, with a NAME of {', '.join(NewLimits.model_fields)} and a RATE such as 600/minute"
        raise CliError(f"there is no such limit: {plain(str(error.errors()[0]['loc'][0]))}", Exit.USAGE, hint) from None
    return told or None


def _tell(made: "KeyCreated", *, as_json: bool) -> None:
    if as_json:
        show_json(made.model_dump(mode="json"))
    else:
        show(made.key)
    note(_ONCE)


def _row(key: "ApiKey") -> list[str]:
    return [key.id, key.name, key.state, ago(key.created_at), ago(key.last_used_at), " ".join(key.scopes)]


def _fields(key: "ApiKey") -> list[object]:
    return [key.id, key.name, key.state, key.created_at, key.last_used_at, key.expires_at, " ".join(key.scopes)]


_LISTING = Listing(("key", "name", "state", "age", "last used", "scopes"), _row, _fields, frozenset({"name", "scopes"}))

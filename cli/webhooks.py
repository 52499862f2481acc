"""`headrace webhooks list`, `create`, `show`, `change` and `remove`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import webhook_deliveries, webhook_listener, webhook_secrets
from cli.connection import Connect, connected
from cli.errors import CliError, Exit
from cli.output import AsJson, AsLines, note, plain, show, show_json
from cli.webhook_deliveries import Id

if TYPE_CHECKING:
    from schemas.webhooks import Endpoint

_EVENTS = "What to tell it of, by commas: job.succeeded,job.failed,…"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    webhooks = typer.Typer(help="Webhooks: where events are sent, and what was delivered.", no_args_is_help=True)
    app.add_typer(webhooks, name="webhooks")
    webhooks.command(name="list")(listed)
    webhooks.command()(create)
    webhooks.command(name="show")(shown)
    webhooks.command()(change)
    webhooks.command()(remove)
    for others in (webhook_secrets, webhook_deliveries, webhook_listener):
        others.register(webhooks)


@connected
def listed(connect: Connect, *, as_json: AsLines = False) -> None:
    """List the tenant's endpoints, newest first; never their secrets."""
    from cli.webhook_text import ENDPOINTS

    with connect() as client:
        found = client.webhooks.endpoints().data
    ENDPOINTS.print(found, as_json=as_json)
    if not found:
        note("no webhook endpoints")


@connected
def create(
    connect: Connect,
    address: Annotated[
        str, typer.Argument(help="Where to send events: https, or as the server allows.", metavar="URL")
    ],
    *,
    events: Annotated[
        str | None, typer.Option(help=f"{_EVENTS} Without: the ends of jobs.", metavar="EVENTS", show_default=False)
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Send what was read, too, not only where it is.")] = False,
    description: Annotated[str, typer.Option(help="For whoever reads the list.", show_default=False)] = "",
    as_json: AsJson = False,
) -> None:
    """Make an endpoint; print it with its signing secret and its public key."""
    from cli.webhook_text import show_endpoint, show_secrets, tell_next

    wanted = {"events": _known(events), "payload": "full" if full else None, "description": description or None}
    with connect() as client:
        made = client.webhooks.create({"url": address, **_given(wanted)})
    if as_json:
        show_json(made.model_dump(mode="json"))
    else:
        show_endpoint(made)
        show_secrets(made.secrets)
    tell_next(made)


@connected
def shown(connect: Connect, endpoint: Id, *, as_json: AsJson = False) -> None:
    """Show an endpoint: what it is sent, and whether it is verified, disabled or failing."""
    with connect() as client:
        _tell(client.webhooks.endpoint(endpoint), as_json=as_json)


@connected
def change(  # noqa: PLR0913 a command's options are its interface
    connect: Connect,
    endpoint: Id,
    *,
    address: Annotated[
        str | None, typer.Option("--new-url", help="Where to send events; it is verified anew.", metavar="URL")
    ] = None,
    events: Annotated[str | None, typer.Option(help=_EVENTS, metavar="EVENTS")] = None,
    full: Annotated[bool | None, typer.Option("--full/--thin", help="Send what was read, too, or only where.")] = None,
    description: Annotated[str | None, typer.Option(help="For whoever reads the list.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Take it up again, or stop it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an endpoint different; what waits for it goes on waiting, or goes to its new URL."""
    from cli.webhook_text import tell_next

    payload = None if full is None else "full" if full else "thin"
    wanted = {
        "url": address, "events": _known(events), "payload": payload, "description": description, "enabled": enabled,
    }  # fmt: skip
    if not (given := _given(wanted)):
        raise CliError("nothing is to be different", Exit.USAGE, "what may be: headrace webhooks change --help")
    with connect() as client:
        changed = client.webhooks.change(endpoint, given)
    _tell(changed, as_json=as_json)
    if changed.state == "pending" and (address or enabled):
        tell_next(changed)


@connected
def remove(
    connect: Connect, endpoint: Id, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Remove an endpoint, with all that was or was to be delivered to it."""
    if not yes:
        _ask(endpoint)
    with connect() as client:
        client.webhooks.remove(endpoint)
    show(f"{plain(endpoint)}\tremoved")


def _ask(endpoint: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CliError("removing wants a yes", Exit.USAGE, "give --yes where nobody can be asked")
    if not typer.confirm(f"Remove {plain(endpoint)} with all that was or was to be delivered to it?", err=True):
        raise CliError("nothing was removed")


def _known(events: str | None) -> list[str] | None:
    """The events that a list by commas names; raises `CliError` for one that there is none of."""
    from typing import get_args

    from schemas.webhooks import EventType

    if events is None:
        return None
    named, known = [word.strip() for word in events.split(",")], get_args(EventType)
    if unknown := [name for name in named if name not in known]:
        raise CliError(f"there is no event {plain(unknown[0])!r}", Exit.USAGE, f"one of: {', '.join(known)}")
    return named


def _given(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None}


def _tell(endpoint: "Endpoint", *, as_json: bool) -> None:
    from cli.webhook_text import show_endpoint

    show_json(endpoint.model_dump(mode="json")) if as_json else show_endpoint(endpoint)

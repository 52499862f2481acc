"""`headrace webhooks verify`, `challenge`, `secrets` and `rotate`: how sender and receiver know each other."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.connection import Connect, connected
from cli.output import AsJson, show, show_json
from cli.webhook_deliveries import Id, tell_sent

if TYPE_CHECKING:
    from schemas.webhooks import EndpointWithSecrets


def register(webhooks: typer.Typer) -> None:
    """Add the commands."""
    for verb in (verify, challenge, secrets, rotate):
        webhooks.command()(verb)


@connected
def verify(
    connect: Connect,
    endpoint: Id,
    code: Annotated[str, typer.Argument(help="The `data.code` of the message that it was sent last.", metavar="CODE")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell the code that an endpoint was sent, where it does not answer with it by itself."""
    with connect() as client:
        verified = client.webhooks.verify(endpoint, code)
    show_json(verified.model_dump(mode="json")) if as_json else show(f"{verified.id}\t{verified.state}")


@connected
def challenge(connect: Connect, endpoint: Id, *, as_json: AsJson = False) -> None:
    """Send an endpoint that is not verified another code; prints the message's id."""
    with connect() as client:
        tell_sent(endpoint, client.webhooks.challenge(endpoint), as_json=as_json)


@connected
def secrets(connect: Connect, endpoint: Id, *, as_json: AsJson = False) -> None:
    """Print what an endpoint's signatures are checked with, the newest first: secret, public key, until when."""
    with connect() as client:
        _tell_secrets(client.webhooks.secrets(endpoint), as_json=as_json)


@connected
def rotate(
    connect: Connect,
    endpoint: Id,
    *,
    overlap: Annotated[
        float, typer.Option("--overlap-hours", help="How long the old secret signs, too.", min=0, max=720)
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Give an endpoint a new secret; print it, and those that sign with it for now."""
    with connect() as client:
        _tell_secrets(client.webhooks.rotate(endpoint, overlap), as_json=as_json)


def _tell_secrets(endpoint: "EndpointWithSecrets", *, as_json: bool) -> None:
    from cli.webhook_text import list_secrets

    show_json(endpoint.model_dump(mode="json")) if as_json else list_secrets(endpoint.secrets)

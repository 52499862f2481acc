"""`headrace webhooks test`, `deliveries`, `delivery`, `resend`, `recover` and `replay`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.connection import Connect, connected
from cli.output import AsJson, AsLines, note, plain, show, show_json

if TYPE_CHECKING:
    from schemas.webhooks import DeliveriesTaken, DeliveryList, MessageSent

State = Literal["waiting", "delivered", "failed"]
"""`schemas.webhooks.DeliveryState` without the weight of its module."""
Id = Annotated[str, typer.Argument(help="The endpoint's id, as `list` prints it.", metavar="ID")]
Message = Annotated[str, typer.Argument(help="The message's id, its `webhook-id`.", metavar="MESSAGE")]
Since = Annotated[str, typer.Option(help="Not before: `2h`, `7d`, or a date and time.", metavar="MOMENT")]


def register(webhooks: typer.Typer) -> None:
    """Add the commands."""
    webhooks.command(name="test")(trial)
    for verb in (deliveries, delivery, resend, recover, replay):
        webhooks.command()(verb)


@connected
def trial(connect: Connect, endpoint: Id, *, as_json: AsJson = False) -> None:
    """Send an endpoint a message of type endpoint.test; prints its id."""
    with connect() as client:
        tell_sent(endpoint, client.webhooks.test(endpoint), as_json=as_json)


@connected
def deliveries(
    connect: Connect,
    endpoint: Id,
    *,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 20,
    after: Annotated[
        str | None, typer.Option(help="Only what follows the page that told this.", metavar="CURSOR")
    ] = None,
    as_json: AsLines = False,
) -> None:
    """List what was or is to be delivered to an endpoint, newest message first."""
    from cli.paging import pages
    from cli.webhook_text import DELIVERIES

    given = {name: value for name, value in {"state": state, "after": after}.items() if value}
    following: str | None = None
    with connect() as client:

        def fetch(page: dict[str, str]) -> "DeliveryList":
            nonlocal following
            found = client.webhooks.deliveries(endpoint, given | page)
            following = found.next
            return found

        DELIVERIES.print(pages(fetch, limit, "deliveries"), as_json=as_json)
    if following is not None:
        note(f"what follows: --after {plain(following)}")


@connected
def delivery(connect: Connect, endpoint: Id, message: Message, *, as_json: AsJson = False) -> None:
    """Show a delivery: each attempt, the newest first, and the body that is sent. With --json: requests, too."""
    from cli.webhook_text import show_delivery

    with connect() as client:
        found = client.webhooks.delivery(endpoint, message)
    show_json(found.model_dump(mode="json")) if as_json else show_delivery(found)


@connected
def resend(connect: Connect, endpoint: Id, message: Message, *, as_json: AsJson = False) -> None:
    """Deliver a message once more, whatever became of it before; its webhook-id is the same."""
    with connect() as client:
        tell_sent(endpoint, client.webhooks.resend(endpoint, message), as_json=as_json)


@connected
def recover(connect: Connect, endpoint: Id, *, since: Since, as_json: AsJson = False) -> None:
    """Deliver again all messages since a moment whose delivery was given up."""
    from cli.moments import moment

    start = moment(since, "--since")
    with connect() as client:
        _tell_taken(endpoint, client.webhooks.recover(endpoint, start), as_json=as_json)


@connected
def replay(connect: Connect, endpoint: Id, *, since: Since, as_json: AsJson = False) -> None:
    """Deliver all messages since a moment that the endpoint asks for and was never sent, as while it was disabled."""
    from cli.moments import moment

    start = moment(since, "--since")
    with connect() as client:
        _tell_taken(endpoint, client.webhooks.replay(endpoint, start), as_json=as_json)


def tell_sent(endpoint: str, sent: "MessageSent", *, as_json: bool) -> None:
    """Print a message's id alone, so that a script can take it."""
    show_json(sent.model_dump(mode="json")) if as_json else show(sent.message)
    note(f"how it goes: headrace webhooks delivery {plain(endpoint)} {sent.message}")


def _tell_taken(endpoint: str, taken: "DeliveriesTaken", *, as_json: bool) -> None:
    show_json(taken.model_dump(mode="json")) if as_json else show(f"{taken.taken} taken")
    if taken.taken:
        note(f"how they go: headrace webhooks deliveries {plain(endpoint)}")

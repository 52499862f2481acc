"""`headrace webhooks listen`: a receiver on this machine that checks each delivery and says what came."""

import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError, Exit
from cli.output import AsLines, note, plain, show, show_line
from cli.summaries import facts, short

if TYPE_CHECKING:
    from cli.webhook_receiver import Delivery
    from sinks.webhooks.signing import Verifier


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(listen)


def listen(
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 8765,
    path: Annotated[str | None, typer.Option(help="Take deliveries at this path alone; at any by default.")] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="HEADRACE_WEBHOOK_SECRET",
            help="The endpoint's secret, whsec_…; as an argument, others on this machine may see it.",
            metavar="SECRET",
            show_default=False,
        ),
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="Its public key, whpk_…; beside a secret both must fit.", metavar="KEY")
    ] = None,
    status: Annotated[int, typer.Option(help="What a good delivery is answered.", min=200, max=599)] = 204,
    as_json: AsLines = False,
) -> None:
    """Take webhooks until Ctrl-C: time, type, webhook-id, whether the signature fits, and a summary.

    Verifications of an endpoint are answered, wrong signatures with 401. With --json: at, id, timestamp, verified,
    reason, and event, whole.
    """
    from cli.webhook_receiver import Desk, receiving

    desk = Desk(_verifiers(secret, public_key), status)
    with receiving(host, port, path, desk) as url:
        note(f"-- register {url} as an endpoint's URL; listening until Ctrl-C")
        if not desk.verifiers:
            note("hint: --secret or HEADRACE_WEBHOOK_SECRET lets signatures be checked")
        while True:
            _print(desk.told.get(), as_json=as_json)


def _verifiers(*keys: str | None) -> "list[Verifier]":
    from sinks.webhooks.signing import Verifier

    try:
        return [Verifier(key) for key in keys if key]
    except ValueError as error:
        raise CliError(f"what was given is {error}", Exit.USAGE) from error


def _print(delivery: "Delivery", *, as_json: bool) -> None:
    at = delivery.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if as_json:
        _print_object(delivery, at)
    elif sys.stdout.isatty():
        from rich.cells import set_cell_size

        cells = _cells(delivery, f"{delivery.at.astimezone():%H:%M:%S}")
        show(set_cell_size("  ".join(cells), shutil.get_terminal_size().columns).rstrip())
    else:
        show("\t".join(_cells(delivery, at)))


def _print_object(delivery: "Delivery", at: str) -> None:
    line = {
        "at": at,
        "id": delivery.headers.get("webhook-id"),
        "timestamp": delivery.headers.get("webhook-timestamp"),
        "verified": delivery.refusal is None,
        "reason": delivery.refusal,
    }
    try:
        show_line({**line, "event": delivery.event()})
    except RecursionError:  # what could just be read may be too deep to be written
        show_line({**line, "event": delivery.text()})


def _cells(delivery: "Delivery", at: str) -> list[str]:
    event = delivery.event()
    state = "verified" if delivery.refusal is None else f"unverified: {delivery.refusal}"
    if isinstance(event, dict):
        kind, data = event.get("type"), event.get("data")
        summary = facts(data if isinstance(data, dict) else {"data": data})
    else:
        kind, summary = None, short(delivery.text())
    cells = (at, kind if isinstance(kind, str) else "-", delivery.headers.get("webhook-id") or "-", state, summary)
    return [plain(cell) for cell in cells]

"""Webhook endpoints and deliveries as text."""

import json
import sys
from collections.abc import Mapping, Sequence

from cli.listing import Listing, ago, text
from cli.output import note, plain, show
from cli.summaries import short
from schemas.webhooks import Attempt, Delivery, DeliveryView, Endpoint, SigningSecret


def show_endpoint(endpoint: Endpoint) -> None:
    """An endpoint in lines."""
    _show(
        {
            "endpoint": endpoint.id,
            "url": endpoint.url,
            "events": " ".join(endpoint.events),
            "payload": endpoint.payload,
            "description": endpoint.description,
            "state": endpoint.state + (f" ({endpoint.reason})" if endpoint.reason else ""),
            "created": f"{text(endpoint.created_at)} by {endpoint.created_by}",
            "verified": endpoint.verified_at,
            "disabled": endpoint.disabled_at,
            "failing since": endpoint.failing_since,
        }
    )


def show_secrets(secrets: Sequence[SigningSecret]) -> None:
    """What signatures are checked with, the newest first."""
    for each in secrets:
        until = {} if each.until is None else {"good until": each.until}
        _show({"secret": each.secret, "public key": each.public_key, **until})


def list_secrets(secrets: Sequence[SigningSecret]) -> None:
    """The same, a line each where no terminal shows it."""
    if sys.stdout.isatty():
        show_secrets(secrets)
        return
    for each in secrets:
        show(f"{each.secret}\t{each.public_key}\t{text(each.until)}")


def tell_next(endpoint: Endpoint) -> None:
    """What has to happen before a pending endpoint is sent anything else."""
    note('next: it is sent endpoint.verification; events wait until it answers with the code in it, as {"code": …}')
    note(f"hint: where it cannot, tell the code yourself: headrace webhooks verify {endpoint.id} CODE")


def show_delivery(delivery: DeliveryView) -> None:
    """All that is known of a delivery, for a person."""
    _show(
        {
            "message": delivery.message,
            "type": delivery.type,
            "job": delivery.job,
            "at": delivery.at,
            "state": delivery.state,
            "attempts": delivery.attempts,
            "next attempt": delivery.next_attempt_at,
        }
    )
    for attempt in delivery.tried:
        show(f"{'attempt':13} {text(attempt.at)}  {attempt.seconds:.3f} s  {_came_to(attempt)}".rstrip())
    if (before := delivery.attempts - len(delivery.tried)) > 0:
        note(f"{before} earlier attempts are not shown")
    show("body")
    for row in json.dumps(delivery.body, indent=2, ensure_ascii=False).splitlines():
        show(f"  {plain(row)}")


def _show(facts: Mapping[str, object]) -> None:
    for name, value in facts.items():
        show(f"{name:13} {plain(text(value)) or '-'}")


def _came_to(attempt: Attempt) -> str:
    return plain(f"{_answer(attempt):3}  {short(attempt.response)}")


def _answer(tried: Attempt | Delivery) -> str:
    """A status, and the word for what went wrong, where something did."""
    return " ".join(filter(None, (text(tried.status), tried.error))) or "-"


def _endpoint_row(endpoint: Endpoint) -> list[str]:
    return [endpoint.id, endpoint.state, ago(endpoint.created_at), endpoint.url, " ".join(endpoint.events)]


def _endpoint_fields(endpoint: Endpoint) -> list[object]:
    moments = [endpoint.created_at, endpoint.verified_at, endpoint.failing_since]
    wanted = [endpoint.url, endpoint.payload, " ".join(endpoint.events)]
    return [endpoint.id, endpoint.state, endpoint.reason, *wanted, *moments, endpoint.description]


def _delivery_row(delivery: Delivery) -> list[str]:
    came_to = [delivery.state, delivery.type, str(delivery.attempts), _answer(delivery)]
    job = f"…{delivery.job[-8:]}" if delivery.job else "-"  # the end tells jobs of one moment apart
    return [delivery.message, *came_to, ago(delivery.at), job]


def _delivery_fields(delivery: Delivery) -> list[object]:
    came_to = [delivery.state, delivery.type, delivery.attempts, delivery.status, delivery.error]
    return [delivery.message, *came_to, delivery.at, delivery.next_attempt_at, delivery.job]


ENDPOINTS = Listing(
    ("endpoint", "state", "age", "url", "events"), _endpoint_row, _endpoint_fields, frozenset({"url", "events"})
)  # fmt: skip
DELIVERIES = Listing(
    ("message", "state", "type", "tries", "answer", "age", "job"), _delivery_row, _delivery_fields,
    frozenset({"type"}),
)  # fmt: skip

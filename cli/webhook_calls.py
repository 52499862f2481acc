"""The routes of webhook endpoints, as `cli.client.Client` asks for them."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from schemas.webhooks import (
    DeliveriesTaken,
    DeliveryList,
    DeliveryView,
    Endpoint,
    EndpointList,
    EndpointWithSecrets,
    MessageSent,
)


class Call(Protocol):
    """One request: its method, its path and what `httpx2` is told beside them; the JSON object of the answer."""

    def __call__(self, method: str, path: str, *, body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Raises `CliError`."""
        ...


class WebhookCalls:
    """Every method raises `CliError` with the exit code of what went wrong."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def endpoints(self) -> EndpointList:
        """The endpoints of the caller's tenant."""
        return EndpointList.model_validate(self._ask("GET"))

    def create(self, wanted: Mapping[str, Any]) -> EndpointWithSecrets:
        """Make an endpoint."""
        return EndpointWithSecrets.model_validate(self._ask("POST", json=dict(wanted)))

    def endpoint(self, endpoint: str) -> Endpoint:
        """One endpoint."""
        return Endpoint.model_validate(self._ask("GET", endpoint))

    def change(self, endpoint: str, wanted: Mapping[str, Any]) -> Endpoint:
        """Make an endpoint different."""
        return Endpoint.model_validate(self._ask("PATCH", endpoint, json=dict(wanted)))

    def remove(self, endpoint: str) -> None:
        """Forget an endpoint, and all that was or was to be delivered to it."""
        self._ask("DELETE", endpoint)

    def secrets(self, endpoint: str) -> EndpointWithSecrets:
        """An endpoint with what its signatures are checked with."""
        return EndpointWithSecrets.model_validate(self._ask("GET", endpoint, "secrets"))

    def rotate(self, endpoint: str, overlap_hours: float) -> EndpointWithSecrets:
        """Give an endpoint a new secret."""
        body = {"overlap_hours": overlap_hours}
        return EndpointWithSecrets.model_validate(self._ask("POST", endpoint, "rotate", json=body))

    def verify(self, endpoint: str, code: str) -> Endpoint:
        """Tell the code that an endpoint was sent."""
        return Endpoint.model_validate(self._ask("POST", endpoint, "verify", json={"code": code}))

    def challenge(self, endpoint: str) -> MessageSent:
        """Send an endpoint another code."""
        return MessageSent.model_validate(self._ask("POST", endpoint, "challenge"))

    def test(self, endpoint: str) -> MessageSent:
        """Send an endpoint a test message."""
        return MessageSent.model_validate(self._ask("POST", endpoint, "test"))

    def recover(self, endpoint: str, since: str | None) -> DeliveriesTaken:
        """Deliver again what was given up."""
        return DeliveriesTaken.model_validate(self._ask("POST", endpoint, "recover", json={"since": since}))

    def replay(self, endpoint: str, since: str | None) -> DeliveriesTaken:
        """Deliver what was never sent."""
        return DeliveriesTaken.model_validate(self._ask("POST", endpoint, "replay", json={"since": since}))

    def deliveries(self, endpoint: str, query: Mapping[str, str]) -> DeliveryList:
        """One page of the deliveries that `query` (the route's parameters) asks for."""
        return DeliveryList.model_validate(self._ask("GET", endpoint, "deliveries", params=dict(query)))

    def delivery(self, endpoint: str, message: str) -> DeliveryView:
        """One delivery with its attempts."""
        return DeliveryView.model_validate(self._ask("GET", endpoint, "deliveries", message))

    def resend(self, endpoint: str, message: str) -> MessageSent:
        """Deliver a message once more."""
        return MessageSent.model_validate(self._ask("POST", endpoint, "deliveries", message, "resend"))

    def _ask(self, method: str, *parts: str, **told: Any) -> dict[str, Any]:
        path = "/".join(("/v1/webhook-endpoints", *(quote(part, safe="") for part in parts)))
        return self._call(method, path, body=lambda: told)

"""The port of webhooks: endpoints as their owners change them, and what was delivered."""

from datetime import datetime, timedelta
from typing import Protocol

from schemas.webhooks import (
    DeliveryList,
    DeliveryQuery,
    DeliveryView,
    Endpoint,
    EndpointChange,
    NewEndpoint,
    SecretVersion,
)


class WebhookSecrets(Protocol):
    """What messages are signed with, made from the server's keys."""

    def newest(self) -> int:
        """The number of the key that new secrets are made from."""
        ...

    def secret(self, endpoint: str, key: int, version: int) -> str:
        """`whsec_…`, for `v1`."""
        ...

    def public_key(self, endpoint: str, key: int, version: int) -> str:
        """`whpk_…`, for `v1a`."""
        ...


class UrlCheck(Protocol):
    """Where webhooks may go."""

    async def check(self, url: str) -> None:
        """Raise `DestinationRefused` for a URL that is malformed, or leads to where nothing is sent."""
        ...


class WebhookStore(Protocol):
    """Webhook endpoints of one tenant at a time, and what was delivered to them. All raise `DependencyDown`.

    None or False: this tenant has no such endpoint, or no such message.
    """

    async def create(
        self, tenant: str, identifier: str, wanted: NewEndpoint, secret: SecretVersion, by: str
    ) -> Endpoint:
        """Keep a new endpoint, and send it what it has to tell back; raises `TooManyEndpoints`."""
        ...

    async def endpoints(self, tenant: str) -> list[Endpoint]:
        """The tenant's endpoints, newest first."""
        ...

    async def endpoint(self, tenant: str, identifier: str) -> Endpoint | None:
        """One endpoint."""
        ...

    async def secrets(self, tenant: str, identifier: str) -> tuple[SecretVersion, ...] | None:
        """What an endpoint's messages are signed with, the newest first."""
        ...

    async def change(self, tenant: str, identifier: str, wanted: EndpointChange) -> Endpoint | None:
        """Make it different; a new URL is sent what it has to tell back."""
        ...

    async def remove(self, tenant: str, identifier: str) -> bool:
        """Forget an endpoint, with all that was delivered to it."""
        ...

    async def rotate(self, tenant: str, identifier: str, key: int, overlap: timedelta) -> bool:
        """Sign with a new secret of the server's key `key`; the one before it is good for `overlap` more."""
        ...

    async def verify(self, tenant: str, identifier: str, code: str) -> Endpoint | None:
        """Take an endpoint for verified; raises `WrongCode`."""
        ...

    async def challenge(self, tenant: str, identifier: str) -> str | None:
        """Send an endpoint that is not verified a new code; the message's id. Raises `AlreadyVerified`."""
        ...

    async def test(self, tenant: str, identifier: str) -> str | None:
        """Send an endpoint a test message; its id."""
        ...

    async def deliveries(self, tenant: str, identifier: str, query: DeliveryQuery) -> DeliveryList | None:
        """One page of what was sent to an endpoint; raises `BadRequest` for a foreign cursor."""
        ...

    async def delivery(self, tenant: str, identifier: str, message: str) -> DeliveryView | None:
        """One delivery with its attempts."""
        ...

    async def resend(self, tenant: str, identifier: str, message: str) -> bool:
        """Deliver a message once more, whatever became of it before."""
        ...

    async def recover(self, tenant: str, identifier: str, since: datetime) -> int | None:
        """Deliver again what failed since; how many messages."""
        ...

    async def replay(self, tenant: str, identifier: str, since: datetime) -> int | None:
        """Deliver what was never sent to the endpoint and it asks for, since; how many messages."""
        ...

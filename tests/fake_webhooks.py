"""Webhooks without a database, for unit tests of the doors alone: a tenant has no endpoint but what it made."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.webhooks import (
    DeliveryList,
    DeliveryQuery,
    DeliveryView,
    Endpoint,
    EndpointChange,
    NewEndpoint,
    SecretVersion,
)


@dataclass
class FakeWebhooks:
    kept: dict[tuple[str, str], Endpoint] = field(default_factory=dict)

    async def create(
        self, tenant: str, identifier: str, wanted: NewEndpoint, secret: SecretVersion, by: str
    ) -> Endpoint:
        own = wanted.model_dump()
        made = Endpoint(id=identifier, state="pending", created_at=datetime.now(UTC), created_by=by, **own)
        self.kept[tenant, identifier] = made
        return made

    async def endpoints(self, tenant: str) -> list[Endpoint]:
        return [endpoint for (owner, _), endpoint in self.kept.items() if owner == tenant]

    async def endpoint(self, tenant: str, identifier: str) -> Endpoint | None:
        return self.kept.get((tenant, identifier))

    async def secrets(self, tenant: str, identifier: str) -> tuple[SecretVersion, ...] | None:
        return (SecretVersion(key=1, version=1),) if (tenant, identifier) in self.kept else None

    async def change(self, tenant: str, identifier: str, wanted: EndpointChange) -> Endpoint | None:
        return self.kept.get((tenant, identifier))

    async def remove(self, tenant: str, identifier: str) -> bool:
        return self.kept.pop((tenant, identifier), None) is not None

    async def rotate(self, tenant: str, identifier: str, key: int, overlap: timedelta) -> bool:
        return (tenant, identifier) in self.kept

    async def verify(self, tenant: str, identifier: str, code: str) -> Endpoint | None:
        return self.kept.get((tenant, identifier))

    async def challenge(self, tenant: str, identifier: str) -> str | None:
        return None

    async def test(self, tenant: str, identifier: str) -> str | None:
        return None

    async def deliveries(self, tenant: str, identifier: str, query: DeliveryQuery) -> DeliveryList | None:
        return None

    async def delivery(self, tenant: str, identifier: str, message: str) -> DeliveryView | None:
        return None

    async def resend(self, tenant: str, identifier: str, message: str) -> bool:
        return False

    async def recover(self, tenant: str, identifier: str, since: datetime) -> int | None:
        return None

    async def replay(self, tenant: str, identifier: str, since: datetime) -> int | None:
        return None


class NoCheck:
    """Every URL is good."""

    async def check(self, url: str) -> None:
        return None

"""API keys and usage in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas import keys
from schemas.errors import DependencyDown
from schemas.keys import ApiKey, KeyEntry, KeyList, KeySecret
from schemas.paging import PageQuery
from schemas.usage import Usage


@dataclass
class FakeEntries:
    """What an API process heard of keys."""

    known: dict[str, KeyEntry] = field(default_factory=dict)
    whole: bool = True
    used: dict[str, Usage] = field(default_factory=dict)

    def follow(self) -> None:
        return

    def usage(self, tenant: str) -> Usage | None:
        return self.used.get(tenant)

    def key(self, identifier: str) -> KeyEntry | None:
        return self.known.get(identifier)

    def give(self, tenant: str, *scopes: str, **settings: Any) -> str:
        """A new key of `tenant` that may do what `scopes` say."""
        identifier = keys.new_id()
        key = keys.new_key(identifier)
        secret = KeySecret(sha256=keys.sha256(key))
        self.known[identifier] = KeyEntry(tenant=tenant, scopes=scopes, secrets=(secret,), **settings)
        return key


@dataclass
class FakeKeys:
    """Keeps keys, and tells of them at once."""

    entries: FakeEntries
    kept: dict[tuple[str, str], ApiKey] = field(default_factory=dict)
    last: dict[tuple[str, str], datetime] = field(default_factory=dict)
    down: bool = False

    async def create(self, tenant: str, identifier: str, key: KeyEntry, name: str, by: str) -> ApiKey:
        await self.ping()
        self.entries.known[identifier] = key
        made = ApiKey(
            id=identifier, name=name, scopes=key.scopes, state="active", created_at=datetime.now(UTC), created_by=by,
            expires_at=key.expires_at, limits=key.limits,
        )  # fmt: skip
        self.kept[tenant, identifier] = made
        return made

    async def keys(self, tenant: str, query: PageQuery) -> KeyList:
        await self.ping()
        return KeyList(data=[key for (owner, _), key in self.kept.items() if owner == tenant][: query.limit])

    async def key(self, tenant: str, identifier: str) -> ApiKey | None:
        await self.ping()
        return self.kept.get((tenant, identifier))

    async def rotate(self, tenant: str, identifier: str, sha256: str, overlap: timedelta) -> ApiKey | None:
        await self.ping()
        if (tenant, identifier) not in self.kept:
            return None
        entry = self.entries.known[identifier]
        until = datetime.now(UTC) + overlap
        before = [secret.model_copy(update={"until": until}) for secret in entry.secrets[:1]]
        secrets = (KeySecret(sha256=sha256), *before)
        self.entries.known[identifier] = entry.model_copy(update={"secrets": secrets})
        return self.kept[tenant, identifier]

    async def revoke(self, tenant: str, identifier: str) -> ApiKey | None:
        await self.ping()
        if (tenant, identifier) not in self.kept:
            return None
        self.entries.known[identifier] = self.entries.known[identifier].model_copy(update={"revoked": True})
        self.kept[tenant, identifier] = self.kept[tenant, identifier].model_copy(update={"state": "revoked"})
        return self.kept[tenant, identifier]

    async def used(self, tenant: str, last: Mapping[str, datetime]) -> None:
        await self.ping()
        self.last.update({(tenant, identifier): at for identifier, at in last.items()})

    async def ping(self) -> None:
        if self.down:
            raise DependencyDown("PostgreSQL does not answer", retry_after=2)

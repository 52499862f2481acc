"""From credentials to who calls: a bootstrap key of the settings, an API key, or an access token."""

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from api.auth.identity import Identity
from schemas import keys
from schemas.errors import DependencyDown, Unauthorized
from schemas.keys import KeyEntry
from schemas.scopes import EVERY_SCOPE, known


class KeyReader(Protocol):
    """What is known of API keys, without asking anybody."""

    @property
    def whole(self) -> bool:
        """Whether a key that is not known is none."""
        ...

    def follow(self) -> None:
        """Begin to learn of them."""
        ...

    def key(self, identifier: str) -> KeyEntry | None:
        """The entry of a key."""
        ...


class Tokens(Protocol):
    """Access tokens of some issuer."""

    def mine(self, token: str) -> bool:
        """Whether a token says that it comes from this issuer; nothing of it is checked."""
        ...

    async def identify(self, token: str) -> Identity:
        """Who presents it. Raises `Unauthorized`, and `DependencyDown` where the issuer's keys were never read."""
        ...


class Identities:
    """All ways in. `bootstrap` maps the sha256 of keys that may do everything to their tenants."""

    def __init__(self, bootstrap: Mapping[str, str], entries: KeyReader, issuers: Sequence[Tokens]) -> None:
        self._bootstrap = {digest.encode(): tenant for digest, tenant in bootstrap.items()}
        self._entries = entries
        self._issuers = issuers

    async def identify(self, credentials: str) -> Identity:
        """Who presents `credentials`.

        Raises `Unauthorized`, saying no more than whether to get new ones; `DependencyDown` where that cannot be told
        yet.
        """
        if (identifier := keys.id_of(credentials)) is not None:
            return self.by_key(identifier, credentials)
        if credentials.count(".") == 2:
            for issuer in self._issuers:
                if issuer.mine(credentials):
                    return await issuer.identify(credentials)
        return self._by_bootstrap_key(credentials)

    def by_key(self, identifier: str, key: str) -> Identity:
        """Who presents an API key; raises as `identify` does."""
        entry = self._entries.key(identifier)
        if entry is None and not self._entries.whole:
            raise DependencyDown("the API keys were not read from the log yet; try again", retry_after=1)
        if entry is None or not entry.opens(key, datetime.now(UTC)):
            raise Unauthorized("the API key is not known, or no longer good", presented=True)
        scopes, ends = known(entry.scopes), entry.expires_at
        return Identity(entry.tenant, scopes, f"key {identifier}", identifier, ends, limits=entry.limits)

    def stands(self, identity: Identity) -> bool:
        """Whether who was let in once would be let in still."""
        now = datetime.now(UTC)
        if identity.until is not None and identity.until <= now:
            return False
        if identity.key is None:
            return True
        entry = self._entries.key(identity.key)
        return entry is not None and entry.stands(now)

    def _by_bootstrap_key(self, key: str) -> Identity:
        digest = keys.sha256(key).encode()
        # Every key is compared, each in constant time: how long it takes tells nothing about which one was near.
        found = [tenant for known_key, tenant in self._bootstrap.items() if hmac.compare_digest(known_key, digest)]
        if not found:
            raise Unauthorized("the credentials are not known here", presented=True)
        return Identity(found[0], EVERY_SCOPE, f"key {digest[:8].decode()}")

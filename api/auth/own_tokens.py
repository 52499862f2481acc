"""Access tokens that this server issues itself, for an API key: short-lived, checked by any of its processes.

For whoever runs no authorization server and has clients that speak OAuth 2.0 alone (RFC 6749, 4.4). The signing keys
are made of the secrets that job ids are checked with (HKDF, RFC 5869), so every process has them and none is stored.
"""

import secrets
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import OKPKey

from api.auth.access_tokens import AccessTokens
from api.auth.identities import KeyReader
from api.auth.identity import Identity
from api.auth.jws import Key
from schemas.errors import Unauthorized
from schemas.issuers import Issuer
from schemas.scopes import Scope, known

ALGORITHM = "Ed25519"  # RFC 9864's name of what RFC 8037 called EdDSA
LIFE_SECONDS = 900


class OwnTokens:
    """`identities.Tokens` of this very server, at the address `url`; `secrets_` are the setting `id_keys`."""

    def __init__(self, url: str, secrets_: Mapping[int, str], entries: KeyReader) -> None:
        self._url = url
        self._entries = entries
        self._keys = {number: _signing_key(number, secret) for number, secret in secrets_.items()}
        issuer = Issuer(issuer=url, audience=url, algorithms=(ALGORITHM,), leeway_seconds=0)
        self._tokens = AccessTokens(issuer, _Known([*self._keys.values()]))

    def issue(self, who: Identity, scopes: Collection[Scope]) -> tuple[str, int]:
        """A token for `scopes` and how long it is good: `LIFE_SECONDS`, and no longer than `who`'s API key."""
        now = int(time.time())
        ends = now + LIFE_SECONDS if who.until is None else min(now + LIFE_SECONDS, int(who.until.timestamp()))
        key = self._keys[max(self._keys)]
        claims = {
            "iss": self._url,
            "aud": self._url,
            "sub": who.key,
            "client_id": who.key,
            "tenant": who.tenant,
            "scope": " ".join(sorted(scopes)),
            "iat": now,
            "exp": ends,
            "jti": secrets.token_hex(16),
        }
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key.kid}
        return jwt.encode(header, claims, key, algorithms=[ALGORITHM]), ends - now

    @property
    def url(self) -> str:
        """Whom the tokens say that they come from."""
        return self._url

    def mine(self, token: str) -> bool:
        """Whether the token says so."""
        return self._tokens.mine(token)

    async def identify(self, token: str) -> Identity:
        """Who presents it, as long as the API key that it was issued for stands, and at most what that may do."""
        found = await self._tokens.identify(token)
        identifier = found.client
        entry = self._entries.key(identifier)
        if entry is None or entry.tenant != found.tenant or not entry.stands(datetime.now(UTC)):
            raise Unauthorized("the access token is refused: its API key is no longer good", presented=True)
        scopes = found.scopes & known(entry.scopes)
        name = f"token of key {identifier}"
        return Identity(found.tenant, scopes, name, identifier, found.until, limits=entry.limits)

    def key_set(self) -> dict[str, Any]:
        """The public keys, as a JWK Set."""
        keys = [self._keys[number].as_dict(private=False) for number in sorted(self._keys, reverse=True)]
        return {"keys": [{**key, "alg": ALGORITHM, "use": "sig"} for key in keys]}


class _Known:
    """Keys that need not be fetched."""

    def __init__(self, keys: list[OKPKey]) -> None:
        self._keys = keys

    async def named(self, kid: str | None) -> list[Key]:
        return [key for key in self._keys if key.kid == kid]


def _signing_key(number: int, secret: str) -> OKPKey:
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"headrace access tokens").derive(secret.encode())
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(derived), {"kid": str(number)})

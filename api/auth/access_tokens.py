"""Access tokens of a trusted issuer (RFC 9068), checked without asking it each time."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.auth import jws
from api.auth.identity import Identity
from api.auth.jws import Key, Peeked, refused
from schemas.envelope import TENANT
from schemas.issuers import Issuer
from schemas.scopes import known

_RFC_9068 = "at+jwt"
_TENANT = re.compile(TENANT)
_LAST_MOMENT = 253402300799  # the last second of the year 9999


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return value


Moment = Annotated[float, BeforeValidator(_number), Field(ge=0, le=_LAST_MOMENT, allow_inf_nan=False)]


class _Claims(BaseModel):
    """What is read of a token beside its tenant."""

    model_config = ConfigDict(strict=True)

    iss: str
    exp: Moment
    aud: str | list[str]
    iat: Moment | None = None
    nbf: Moment | None = None
    sub: str | None = None
    client_id: str | None = None
    azp: str | None = None
    jti: str | None = None
    scope: str = ""


class KeySource(Protocol):
    """The keys of an issuer."""

    async def named(self, kid: str | None) -> list[Key]:
        """Those of an id."""
        ...


class AccessTokens:
    """Tokens of one issuer; `identities.Tokens`."""

    def __init__(self, issuer: Issuer, keys: KeySource) -> None:
        self._issuer = issuer
        self._keys = keys

    def mine(self, token: str) -> bool:
        """Whether the token says so."""
        peeked = jws.peek(token)
        return peeked is not None and peeked.claims.get("iss") == self._issuer.issuer

    async def identify(self, token: str) -> Identity:
        """Who presents it: signature, type, issuer, audience and times are checked before anything is believed."""
        peeked = jws.peek(token)
        if peeked is None:
            raise refused("it is no token")
        kind = _kind(peeked.header)
        if kind not in self._issuer.types:
            raise refused("its type is none of its issuer's access tokens'")
        kid = peeked.header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise refused("its key has no name")
        if peeked.header.get("alg") not in self._issuer.algorithms:  # before its issuer is asked for a key
            raise refused("its algorithm is none of its issuer's")
        jws.checked(token, peeked, await self._keys.named(kid), self._issuer.algorithms)
        claims = self._read(peeked, complete=kind == _RFC_9068)
        client = _short(claims.client_id or claims.azp)
        return Identity(
            tenant=self._tenant(peeked.claims),
            scopes=known(claims.scope.split()),
            name=f"client {client}, subject {_short(claims.sub)}",
            client=client,
            until=datetime.fromtimestamp(claims.exp + self._issuer.leeway_seconds, UTC),
        )

    def _read(self, peeked: Peeked, *, complete: bool) -> _Claims:
        try:
            claims = _Claims.model_validate(dict(peeked.claims))
        except ValidationError as error:
            raise refused("its claims are not those of an access token") from error
        if complete and None in (claims.iat, claims.sub, claims.client_id, claims.jti):
            raise refused("a claim that RFC 9068 requires is missing")
        now, leeway = time.time(), self._issuer.leeway_seconds
        if claims.iss != self._issuer.issuer:
            raise refused("another issuer made it")
        if self._issuer.audience not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
            raise refused("it is for another audience")
        if now >= claims.exp + leeway:
            raise refused("it has expired")
        if max(claims.nbf or 0, claims.iat or 0) > now + leeway:
            raise refused("it is not good yet")
        return claims

    def _tenant(self, claims: Mapping[str, Any]) -> str:
        if self._issuer.tenant is not None:
            return self._issuer.tenant
        tenant = claims.get(self._issuer.tenant_claim)
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise refused("it names no tenant")
        return tenant


def _kind(header: Mapping[str, Any]) -> str:
    """`typ` without the prefix that RFC 7515 lets one leave out, and without regard to case."""
    kind = header.get("typ")
    told = kind.lower().removeprefix("application/") if isinstance(kind, str) else ""
    return "JWT" if told == "jwt" else told


def _short(name: str | None) -> str:
    """What of a name is fit for an audit."""
    return "".join(each for each in name or "unnamed" if each.isprintable())[:64]

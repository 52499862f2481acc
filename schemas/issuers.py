"""Whose access tokens are taken: the setting `issuers`."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from schemas.envelope import TENANT

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
]  # fmt: skip
"""Signatures by a key pair: a secret that two sides share would let a reader of tokens make them."""


def _fetched_safely(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        raise ValueError("must begin with https://, as who can change what is fetched can let anybody in")
    if parts.username or parts.fragment or parts.query:
        raise ValueError("must have no user, query or fragment")
    return url


Address = Annotated[str, AfterValidator(_fetched_safely)]


class Issuer(BaseModel):
    """An authorization server whose tokens are let in, and how to read them.

    `issuer` and `audience` are compared as they are. `jwks` is where its keys lie; without it, its metadata tells.
    A token's tenant is `tenant`, or what its claim `tenant_claim` says. `types` are those of the header's `typ`: a
    server that does not follow RFC 9068 says `JWT`, which its other tokens may say as well; `audience` is then all
    that tells them apart.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: Address
    audience: str = Field(min_length=1)
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    jwks: Address | None = None
    types: Annotated[tuple[Literal["at+jwt", "JWT"], ...], Field(min_length=1)] = ("at+jwt",)
    tenant: str | None = Field(default=None, pattern=rf"^{TENANT}$")
    tenant_claim: str = Field(default="tenant", min_length=1)
    leeway_seconds: float = Field(default=30, ge=0, le=60)

    @model_validator(mode="after")
    def _one_way_to_the_tenant(self) -> "Issuer":
        if self.tenant is not None and "tenant_claim" in self.model_fields_set:
            raise ValueError("name either a tenant or a claim that does")
        return self

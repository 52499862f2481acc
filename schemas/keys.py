"""API keys: their form, what each API process knows of them, and what their owners see.

A key is `hrk_ID_SECRET`: 16 and 52 characters of base32 in lower case, 80 and 260 bits. The id is no secret. Of the
secret only the sha256 is kept anywhere; with so much chance in it, it needs no slow hash.
"""

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from schemas.envelope import TENANT
from schemas.given import Number
from schemas.limits import Limits, NewLimits
from schemas.printable import printable
from schemas.scopes import Scope

KEY_ID = r"[a-z2-7]{16}"
_KEY = re.compile(rf"hrk_(?P<id>{KEY_ID})_[a-z2-7]{{52}}")
MOST_SECRETS = 2
"""Secrets of a key that are good at once: the newest, and the one before it while a rotation goes on."""
MOST_KEYS = 1000
"""Keys of a tenant that stand at once: every API process holds them all."""


class KeySecret(BaseModel):
    """A secret by its sha256 (hexadecimal), good until a moment, or as long as its key."""

    model_config = ConfigDict(frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    until: AwareDatetime | None = None


class KeyEntry(BaseModel):
    """What stands on `headrace.control` under `key:ID`: all that an API process needs to know of a key."""

    model_config = ConfigDict(frozen=True)

    tenant: str = Field(pattern=rf"^{TENANT}$")
    scopes: tuple[str, ...]
    secrets: tuple[KeySecret, ...]
    expires_at: AwareDatetime | None = None
    revoked: bool = False
    limits: Limits | None = None

    def stands(self, now: datetime) -> bool:
        """Whether the key is good at all."""
        return not self.revoked and (self.expires_at is None or now < self.expires_at)

    def opens(self, key: str, now: datetime) -> bool:
        """Whether `key` is this one, with a secret that is good now. Every secret is compared, in constant time."""
        digest = sha256(key)
        good = [each for each in self.secrets if hmac.compare_digest(each.sha256, digest)]
        return self.stands(now) and any(each.until is None or now < each.until for each in good)


KeyName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(printable)]


class NewKey(BaseModel):
    """What a key is to be. Without `scopes` it may do all that its maker may; `limits` are beside the tenant's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: KeyName = Field(examples=["scanner in the mail room"])
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=64)] | None = None
    expires_in_days: Number | None = Field(default=None, gt=0, le=3650, examples=[90])
    limits: NewLimits | None = None


class KeyRotation(BaseModel):
    """How long the secret before goes on being good, beside the new one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlap_hours: Number = Field(default=24, ge=0, le=24 * 30)


class ApiKey(BaseModel):
    """A key as its owner sees it: `last_used_at` is at most minutes behind, `rotated_at` its newest secret's."""

    id: str = Field(pattern=rf"^{KEY_ID}$", examples=["q3v5m2kzc4hx7abn"])
    name: str
    scopes: tuple[str, ...]
    state: Literal["active", "expired", "revoked"]
    created_at: AwareDatetime
    created_by: str
    rotated_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    last_used_at: AwareDatetime | None = None
    limits: Limits | None = None


class KeyCreated(ApiKey):
    """A key with its secret, which is told this once and kept nowhere."""

    key: str = Field(examples=["hrk_q3v5m2kzc4hx7abn_…"])


class KeyList(BaseModel):
    """`GET /v1/keys`: a page of a tenant's keys, the newest first. `next` as in other lists."""

    data: list[ApiKey]
    has_more: bool = False
    next: str | None = None


def control_key(identifier: str) -> bytes:
    """The key of a key's entry on `headrace.control`."""
    return f"key:{identifier}".encode()


def new_id() -> str:
    """An id for a key."""
    return _base32(10)


def new_key(identifier: str) -> str:
    """A key of this id, with a new secret."""
    return f"hrk_{identifier}_{_base32(32)}"


def id_of(key: str) -> str | None:
    """The id in what may be a key, None where it is none."""
    found = _KEY.fullmatch(key)
    return found["id"] if found else None


def sha256(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _base32(size: int) -> str:
    return base64.b32encode(secrets.token_bytes(size)).decode().rstrip("=").lower()

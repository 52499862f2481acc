"""Webhooks: where they go, what is sent, and what became of it (Standard Webhooks 1.0.0)."""

import base64
import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import to_json

from schemas.given import Moment, Number, Truth
from schemas.paging import PageQuery
from schemas.printable import printable

EventType = Literal[
    "job.succeeded", "job.partial", "job.failed", "job.cancelled", "job.expired",
    "page.succeeded", "page.failed", "page.skipped", "document.deleted", "endpoint.disabled",
]  # fmt: skip
"""What an endpoint may ask for. `endpoint.disabled` tells of another endpoint of the same tenant."""
JOB_ENDS: tuple[EventType, ...] = ("job.succeeded", "job.partial", "job.failed", "job.cancelled", "job.expired")
VERIFICATION, TEST, DISABLED = "endpoint.verification", "endpoint.test", "endpoint.disabled"
PayloadKind = Literal["thin", "full"]
EndpointState = Literal["pending", "active", "disabled"]
DeliveryState = Literal["waiting", "delivered", "failed"]
ENDPOINT_ID = r"we_[a-z2-7]{16}"
MESSAGE_ID = r"msg_[0-9a-f]{32}"
MOST_BYTES = 20_000
"""The largest body: a page's text that does not fit is left out, and fetched by the event's `result`."""
MOST_ENDPOINTS = 50
"""Endpoints of a tenant."""
_Text = Annotated[str, Field(max_length=256), AfterValidator(printable)]
_Url = Annotated[str, Field(min_length=8, max_length=2048), AfterValidator(printable)]
_Events = Annotated[tuple[EventType, ...], Field(min_length=1, max_length=20)]


class NewEndpoint(BaseModel):
    """Where to send which events. A `full` body holds what was read, up to 20 kB, a `thin` one where to fetch it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: _Url = Field(examples=["https://example.com/hooks/headrace"])
    events: _Events = Field(default=JOB_ENDS, description="Without it: the ends of jobs.")
    payload: PayloadKind = "thin"
    description: _Text = ""


class EndpointChange(BaseModel):
    """What is to be different; a new `url` is verified anew. `enabled` takes an endpoint up again, or stops it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: _Url | None = None
    events: _Events | None = None
    payload: PayloadKind | None = None
    description: _Text | None = None
    enabled: Truth | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("name what is to be different")
        return self


class Endpoint(BaseModel):
    """An endpoint as its owner sees it. `reason`: why it was disabled; `failing_since`: since when nothing arrives."""

    id: str = Field(pattern=rf"^{ENDPOINT_ID}$", examples=["we_q3v5m2kzc4hx7abn"])
    url: str
    events: tuple[str, ...]
    payload: PayloadKind
    description: str
    state: EndpointState
    reason: str = ""
    created_at: AwareDatetime
    created_by: str
    verified_at: AwareDatetime | None = None
    disabled_at: AwareDatetime | None = None
    failing_since: AwareDatetime | None = None


class SigningSecret(BaseModel):
    """What signatures are checked with: `secret` for `v1`, `public_key` for `v1a`; until a moment, or for good."""

    secret: str = Field(examples=["whsec_…"])
    public_key: str = Field(examples=["whpk_…"])
    until: AwareDatetime | None = None


class EndpointWithSecrets(Endpoint):
    """An endpoint with its signing secrets, the newest first."""

    secrets: list[SigningSecret]


class EndpointList(BaseModel):
    """All endpoints of a tenant, the newest first."""

    data: list[Endpoint]


class SecretRotation(BaseModel):
    """How long messages are signed with the secret before, too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlap_hours: Number = Field(default=24, ge=0, le=24 * 30)


class Verification(BaseModel):
    """The `data.code` of the `endpoint.verification` message that the endpoint was sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(min_length=1, max_length=64)


class Since(BaseModel):
    """From when on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: Moment


class DeliveriesTaken(BaseModel):
    """How many messages are under way again."""

    taken: int


class MessageSent(BaseModel):
    """A message on its way; what becomes of it stands at `/v1/webhook-endpoints/{id}/deliveries/{message}`."""

    message: str = Field(pattern=rf"^{MESSAGE_ID}$")


class Delivery(BaseModel):
    """A message to one endpoint. `message` is the `webhook-id` of each attempt; `error` is the last attempt's."""

    message: str = Field(pattern=rf"^{MESSAGE_ID}$")
    type: str
    job: str
    at: AwareDatetime
    state: DeliveryState
    attempts: int
    next_attempt_at: AwareDatetime | None = None
    status: int | None = None
    error: str = ""


class DeliveryQuery(PageQuery):
    """Which deliveries to list."""

    state: DeliveryState | None = None


class DeliveryList(BaseModel):
    """Deliveries of an endpoint, newest message first. `next`: the cursor that `after` takes for the following page."""

    data: list[Delivery]
    has_more: bool
    next: str | None = None


class Attempt(BaseModel):
    """One request and its answer. `error`: a word where there was none; `response` is its first 4 KiB."""

    at: AwareDatetime
    seconds: float
    status: int | None
    error: str
    request: dict[str, str]
    response: str


class DeliveryView(Delivery):
    """A delivery with the body that is sent and what each attempt came to, the newest first."""

    body: dict[str, Any]
    tried: list[Attempt]


class SecretVersion(BaseModel):
    """Which secret of an endpoint signs: the server's key that it is derived from, and its number."""

    model_config = ConfigDict(frozen=True)

    key: int
    version: int
    until: AwareDatetime | None = None

    def good(self, now: datetime) -> bool:
        """Whether it signs now."""
        return self.until is None or now < self.until


def new_endpoint_id() -> str:
    """An id for an endpoint."""
    return "we_" + base64.b32encode(secrets.token_bytes(10)).decode().lower()


def new_code() -> str:
    """What an endpoint has to tell back."""
    return secrets.token_urlsafe(18)


def body(kind: str, at: str, data: Mapping[str, Any]) -> str:
    """The body of a message, as the specification shapes it; `at` is ISO 8601."""
    return to_json({"type": kind, "timestamp": at, "data": data}).decode()


def message_id(event: uuid.UUID) -> str:
    """The `webhook-id` of an event: one for all endpoints and attempts."""
    return f"msg_{event.hex}"

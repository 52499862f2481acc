"""The envelope: what every record says of itself, as CloudEvents 1.0 binary headers (Kafka protocol binding).

CloudEvents attributes become `ce_<name>` headers; our own are extension attributes (lower-case letters only, as the
specification asks). `traceparent` stays a plain header, where OpenTelemetry looks for it.
"""

import secrets
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.errors import RecordError

SOURCE = "headrace"
TENANT = r"[a-z0-9][a-z0-9_-]{0,62}"
NAMESPACE = uuid.UUID("5b0d8c5e-7f5b-5f0e-9d0a-6f1c2a7e4b11")  # ours; uuid5 ids below it are ours alone
Lane = Literal["interactive", "bulk"]
DataClass = Literal["public", "internal", "confidential", "restricted"]

ATTRIBUTES = {
    "id": "id", "kind": "type", "at": "time", "job": "job", "run": "run", "part": "part", "attempt": "attempt",
    "tenant": "tenant", "plan": "plan", "lane": "lane", "deadline": "deadline", "document": "document",
    "revision": "revision", "data_class": "dataclass", "key_id": "keyid",
}  # fmt: skip
"""Field of the envelope to CloudEvents attribute: the header is `ce_` and the attribute."""
_HEADERS = {field: f"ce_{attribute}" for field, attribute in ATTRIBUTES.items()} | {"traceparent": "traceparent"}
_FIELDS = {header: field for field, header in _HEADERS.items()}
_FIXED = (("ce_specversion", b"1.0"), ("ce_source", SOURCE.encode()), ("content-type", b"application/json"))


class Envelope(BaseModel):
    """Everything about a record but its payload. `part` 0 is the document as a whole, 1 and up its pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: uuid.UUID
    kind: str = Field(pattern=r"^headrace\.[A-Z][A-Za-z]+\.v[0-9]{1,4}$")
    at: AwareDatetime
    job: str = Field(max_length=64)
    run: int = Field(ge=1)
    part: int = Field(ge=0)
    attempt: int = Field(default=1, ge=1)
    tenant: str = Field(pattern=rf"^{TENANT}$")
    plan: str = Field(pattern=r"^[0-9a-f]{16}$")
    lane: Lane = "interactive"
    deadline: AwareDatetime | None = None
    document: str = Field(max_length=256)
    revision: int = Field(default=1, ge=1)
    data_class: DataClass = "internal"
    key_id: str = ""
    traceparent: str = Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")

    @property
    def name(self) -> str:
        """The payload's class name, as in `PageRead`."""
        return self.kind.split(".")[1]

    @property
    def version(self) -> int:
        """The payload's major version."""
        return int(self.kind.rpartition("v")[2])

    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """The Kafka headers of a record with this envelope."""
        fields = self.model_dump(mode="json", exclude_none=True)
        return (*_FIXED, *[(_HEADERS[name], str(value).encode()) for name, value in fields.items()])

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> Self:
        """Read an envelope back; raises `RecordError` for anything that is not one of ours."""
        try:
            return cls.model_validate({_FIELDS[key]: value.decode() for key, value in headers if key in _FIELDS})
        except ValueError as error:  # pydantic's ValidationError and UnicodeDecodeError are both ValueErrors
            raise RecordError("the record's headers are not a Headrace envelope") from error

    def follow(self, kind: str, step: str, *, part: int | None = None, digests: tuple[str, str] = ("", "")) -> Self:
        """The envelope of a record that `step` makes from this one.

        The id is uuid5 over job, run, step, part, kind, the input (this record's own id, which covers all before it),
        and `digests`: of the step's parameters and of its model. So a repeat of the same work has the same id.
        """
        number = self.part if part is None else part
        name = "|".join((self.job, str(self.run), step, str(number), kind, str(self.id), *digests))
        return self.model_copy(
            update={
                "id": uuid.uuid5(NAMESPACE, name), "kind": kind, "at": datetime.now(UTC), "part": number, "attempt": 1,
                "traceparent": child_span(self.traceparent),
            }
        )  # fmt: skip


def new_trace() -> str:
    """A fresh W3C `traceparent`, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def child_span(traceparent: str) -> str:
    """The same trace with a new span id."""
    version, trace, _, flags = traceparent.split("-")
    return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"

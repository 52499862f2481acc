"""What subscribers of `headrace.results` read: one event for each page and each job that ended, exactly once.

Their envelope names tenant, job, run, part (the page), document and revision; its `id` is the same for every copy.
"""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.documents import Payload
from schemas.jobs import Failure, JobState

INLINE_BYTES = 64 * 1024
"""A page's text up to this size (UTF-8) stands in its event; a longer one is fetched by the event's `result`."""


class PublicClaim(BaseModel):
    """Bytes that a subscriber fetches with a key of the tenant: `url` is a path on the API, read with `scope`."""

    model_config = ConfigDict(frozen=True)

    url: str
    scope: Literal["jobs:read"] = "jobs:read"
    media_type: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    available_until: AwareDatetime | None = Field(default=None, description="Null: as long as the document is kept.")


class PageEnded(Payload):
    """A page is done, or will not be. `result` is the API path of all that was read on it."""

    state: Literal["succeeded", "failed", "skipped"]
    result: str | None = None
    text: str | None = Field(default=None, description="Null where it is longer than 64 KiB or the page was not read.")
    image: PublicClaim | None = None
    error: Failure | None = None


class JobEnded(Payload):
    """A run of a job came to its end."""

    state: JobState
    filename: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    pages_total: int | None = None
    pages_succeeded: int = 0
    result: str
    finished_at: AwareDatetime


class DocumentDeleted(Payload):
    """A document was deleted by its owner: revisions up to the envelope's are gone from every index."""


class RelayPosition(BaseModel):
    """How far an outbox is relayed; written to `headrace.relay` in the same transaction as the records themselves.

    `incarnation` names the database that `xid` and `seq` belong to.
    """

    incarnation: str
    xid: int
    seq: int


PUBLIC: tuple[type[Payload], ...] = (PageEnded, JobEnded, DocumentDeleted)

"""What a tenant, or one of its keys, may use of the API in a span of time."""

from typing import Annotated

from pydantic import BaseModel, Field

RATE = r"[1-9][0-9]{0,14}/([1-9][0-9]{0,3} )?(second|minute|hour|day)"
Rate = Annotated[str, Field(pattern=rf"^{RATE}$", examples=["600/minute", "100/10 second"])]
"""So much in any span of this length."""

Quota = Annotated[int, Field(strict=True, ge=1, le=10**15)]
"""So much at once, or in a month."""
QUOTAS = ("jobs", "monthly_pages", "stored_bytes")


class Limits(BaseModel, frozen=True):
    """Rates and quotas, each unlimited where it is not named. One that only a newer release knows is passed over."""

    burst: Rate | None = Field(default=None, description="Requests in a short span: who sends more is to slow down.")
    requests: Rate | None = None
    bytes: Rate | None = Field(default=None, description="Of documents that are submitted, with the form around them.")
    tokens: Rate | None = Field(default=None, description="Of texts that are embedded.")
    jobs: Quota | None = Field(default=None, description="That have not ended.")
    monthly_pages: Quota | None = Field(default=None, description="Of documents accepted in a calendar month (UTC).")
    stored_bytes: Quota | None = Field(default=None, description="Of documents as they were sent; a tenant's alone.")

    @property
    def quotas(self) -> bool:
        """Whether anything has to be counted from what is stored."""
        return any(getattr(self, name) is not None for name in QUOTAS)


class NewLimits(Limits, frozen=True, extra="forbid"):
    """Limits as somebody names them: a name that is none is refused."""

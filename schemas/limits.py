"""What a tenant, or one of its keys, may use of the API in a span of time."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

RATE = r"[1-9][0-9]{0,14}/([1-9][0-9]{0,3} )?(second|minute|hour|day)"
Rate = Annotated[str, Field(pattern=rf"^{RATE}$", examples=["600/minute", "100/10 second"])]
"""So much in any span of this length."""


class Limits(BaseModel):
    """Rates, each unlimited where it is not named. One that only a newer release knows is passed over."""

    model_config = ConfigDict(frozen=True)

    burst: Rate | None = Field(default=None, description="Requests in a short span: who sends more is to slow down.")
    requests: Rate | None = None
    bytes: Rate | None = Field(default=None, description="Of documents that are submitted, with the form around them.")
    tokens: Rate | None = Field(default=None, description="Of texts that are embedded.")


class NewLimits(Limits):
    """Limits as somebody names them: a name that is none is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

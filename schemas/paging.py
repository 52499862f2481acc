"""Lists that are given in pages: what every query of one says."""

from pydantic import BaseModel, ConfigDict, Field


class PageQuery(BaseModel):
    """Which page of a list is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None = Field(default=None, max_length=256, description="`next` of the page before.")
    limit: int = Field(default=20, ge=1, le=100)

"""What a tenant uses of what it has quotas on, as every API process has it at hand."""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

STALE = timedelta(minutes=3)
"""A count this old refuses nobody: it is told again every minute while it is not zero."""


class Used(BaseModel):
    """Jobs that have not ended, pages of the documents that were accepted in the calendar month (UTC)."""

    model_config = ConfigDict(frozen=True)

    jobs: int = 0
    monthly_pages: int = 0


class Usage(Used):
    """What stands on `headrace.control` under `usage:TENANT`, counted at `at`; `keys` by the ids of API keys.

    `stored_bytes` are those of documents as they were sent, until they are deleted.
    """

    at: AwareDatetime
    stored_bytes: int = 0
    keys: dict[str, Used] = {}

    def fresh(self, now: datetime) -> bool:
        """Whether it says anything about now."""
        return now - self.at < STALE

    def of_month(self, now: datetime) -> bool:
        """Whether its pages are this month's."""
        return (self.at.year, self.at.month) == (now.year, now.month)


def usage_key(tenant: str) -> bytes:
    """The key of a tenant's usage on `headrace.control`."""
    return f"usage:{tenant}".encode()

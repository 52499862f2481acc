"""Who calls."""

from dataclasses import dataclass
from datetime import datetime

from schemas.limits import Limits
from schemas.scopes import Scope


@dataclass(frozen=True, slots=True)
class Identity:
    """Whoever presented good credentials. `name` is fit for an audit and holds nothing secret.

    `key` is the id of the API key that all rests on, `until` when what was presented ends by itself, `client` whom an
    access token was issued to, `limits` that key's own.
    """

    tenant: str
    scopes: frozenset[Scope]
    name: str
    key: str | None = None
    until: datetime | None = None
    client: str = ""
    limits: Limits | None = None

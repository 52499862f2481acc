"""Secrets of one embedded stack: made once, kept with mode 0600."""

import hashlib
import secrets
from dataclasses import asdict, dataclass

from deploy.local import layout
from deploy.local.layout import Layout

TENANTS = ("demo", "other")
ROLES = ("headrace_api", "headrace_sink")


@dataclass(frozen=True, slots=True)
class Secrets:
    """`id_keys`: key number (text) to secret; `passwords`: database role to password; `api_keys`: tenant to key."""

    id_keys: dict[str, str]
    passwords: dict[str, str]
    api_keys: dict[str, str]

    def hashed_api_keys(self) -> dict[str, str]:
        """sha256 of each API key to its tenant: all that the API needs."""
        return {hashlib.sha256(key.encode()).hexdigest(): tenant for tenant, key in self.api_keys.items()}


def load(place: Layout) -> Secrets:
    """The directory's secrets, made on first use."""
    kept = layout.read(place.secrets)
    if kept is None:
        kept = asdict(
            Secrets(
                {"1": secrets.token_urlsafe(32)},
                {role: secrets.token_urlsafe(24) for role in ROLES},
                {tenant: f"hr_{tenant}_{secrets.token_urlsafe(24)}" for tenant in TENANTS},
            )
        )
        layout.write(place.secrets, kept)
    return Secrets(**kept)

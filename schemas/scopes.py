"""What a caller may do: the scopes of API keys and access tokens, one for each kind of thing that a route does."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """A permission, as it stands in a key's `scopes` and in a token's `scope`."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    DOCUMENTS_READ = "documents:read"
    DOCUMENTS_WRITE = "documents:write"
    LETTERS_READ = "dead-letters:read"
    LETTERS_WRITE = "dead-letters:write"
    SEARCH = "search"
    EMBEDDINGS = "embeddings"
    MODELS = "models:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"


EVERY_SCOPE = frozenset(Scope)
MEANINGS = {
    Scope.JOBS_READ: "See jobs, their events, and what was read.",
    Scope.JOBS_WRITE: "Submit documents; stop jobs and run them again.",
    Scope.DOCUMENTS_READ: "See documents by their own ids.",
    Scope.DOCUMENTS_WRITE: "Delete documents with all that was made of them.",
    Scope.LETTERS_READ: "See what was rejected on its way, payloads included.",
    Scope.LETTERS_WRITE: "Redrive and discard dead letters.",
    Scope.SEARCH: "Search passages.",
    Scope.EMBEDDINGS: "Embed texts.",
    Scope.MODELS: "See which models answer.",
    Scope.KEYS_READ: "See API keys, never their secrets.",
    Scope.WEBHOOKS_READ: "See webhook endpoints and what was delivered, never their secrets.",
    Scope.WEBHOOKS_WRITE: "Make, change, verify and remove webhook endpoints; see and rotate secrets; send again.",
    Scope.KEYS_WRITE: "Make, rotate and revoke API keys with at most one's own scopes.",
}


def known(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes among `names` that this release has: a newer one's word, or another server's, permits nothing here."""
    return EVERY_SCOPE.intersection(names)

"""The doors: one type a scope. A route that takes none of them is visibly public.

`who: JobsRead` is a caller who may read jobs. Credentials are read from `Authorization: Bearer …` alone, never from a
query: addresses end up in logs.
"""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes

from api import repeated
from api.auth.identities import Identities
from api.auth.identity import Identity
from api.auth.limiting import Limiter
from api.auth.policies import Unit
from schemas.errors import Forbidden, Unauthorized
from schemas.scopes import Scope


class _Door(HTTPBearer):
    """The scheme and what it lets in are one dependency: FastAPI takes its time for each."""

    async def __call__(  # type: ignore[override]  # of a scheme as of any dependency FastAPI reads what it takes
        self, request: Request, needed: SecurityScopes
    ) -> Identity:
        """Whoever comes with good credentials, enough scopes and room in its limits."""
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not credentials:
            raise Unauthorized
        identities: Identities = request.app.state.identities
        who = await identities.identify(credentials.strip())
        request.app.state.key_use.note(who)
        await spend(request, who, "requests")
        repeated.check(request)
        missing = sorted(set(needed.scopes) - who.scopes)
        if missing:
            raise Forbidden(missing)
        return who


_admitted = _Door(
    scheme_name="HTTPBearer",
    description="An API key of this server, or an access token of an issuer that it trusts.",
    auto_error=False,
)
JobsRead = Annotated[Identity, Security(_admitted, scopes=[Scope.JOBS_READ])]
JobsWrite = Annotated[Identity, Security(_admitted, scopes=[Scope.JOBS_WRITE])]
DocumentsRead = Annotated[Identity, Security(_admitted, scopes=[Scope.DOCUMENTS_READ])]
DocumentsWrite = Annotated[Identity, Security(_admitted, scopes=[Scope.DOCUMENTS_WRITE])]
LettersRead = Annotated[Identity, Security(_admitted, scopes=[Scope.LETTERS_READ])]
LettersWrite = Annotated[Identity, Security(_admitted, scopes=[Scope.LETTERS_WRITE])]
Searches = Annotated[Identity, Security(_admitted, scopes=[Scope.SEARCH])]
Embeds = Annotated[Identity, Security(_admitted, scopes=[Scope.EMBEDDINGS])]
ModelsRead = Annotated[Identity, Security(_admitted, scopes=[Scope.MODELS])]
KeysRead = Annotated[Identity, Security(_admitted, scopes=[Scope.KEYS_READ])]
WebhooksRead = Annotated[Identity, Security(_admitted, scopes=[Scope.WEBHOOKS_READ])]
WebhooksWrite = Annotated[Identity, Security(_admitted, scopes=[Scope.WEBHOOKS_WRITE])]
KeysWrite = Annotated[Identity, Security(_admitted, scopes=[Scope.KEYS_WRITE])]


async def spend(request: Request, who: Identity, unit: Unit, amount: int = 1) -> None:
    """Count what a caller uses; the answer tells how it stands. Raises `RateLimited` where there is no room for it."""
    limiter: Limiter = request.app.state.limiter
    spent = await limiter.spend(who, unit, amount)
    request.scope["state"].setdefault("uses", []).extend(spent.uses)
    if spent.refusal is not None:
        raise spent.refusal


def audited(request: Request, who: Identity) -> str:
    """Whose hand it was, for an audit: the credentials' name, and the request's id."""
    return f"{who.name}, {request.state.request_id}"

"""The token endpoint of OAuth 2.0 for API keys (RFC 6749, 4.4), and what clients find it and its keys by (RFC 8414)."""

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel
from starlette.responses import JSONResponse

from api.auth.doors import spend
from api.auth.identities import Identities
from api.auth.identity import Identity
from api.errors import InvalidRequest, declare
from schemas import keys
from schemas.errors import NotFound, RateLimited, SlowDown, Unauthorized
from schemas.scopes import EVERY_SCOPE, known

if TYPE_CHECKING:
    from api.auth.own_tokens import OwnTokens

router = APIRouter(tags=["tokens"])
_STORE_NOTHING = {"Cache-Control": "no-store"}
_Text = Annotated[str, Form(max_length=4096)]


class Token(BaseModel):
    """An access token and how many seconds it is good for."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 the type's name
    expires_in: int
    scope: str


class TokenRefusal(BaseModel):
    """An error as RFC 6749, 5.2, shapes it."""

    error: str
    error_description: str


class _Refused(Exception):
    def __init__(self, error: str, told: str) -> None:
        super().__init__(told)
        self.error = error
        self.told = told


@router.post(
    "/v1/oauth/token",
    response_model=Token,
    responses={
        400: {"model": TokenRefusal, "description": "`invalid_request`, `unsupported_grant_type` or `invalid_scope`"},
        401: {"model": TokenRefusal, "description": "`invalid_client`: the API key is not good"},
        **declare(NotFound, InvalidRequest, RateLimited, SlowDown),
    },
)
async def token(
    request: Request,
    grant_type: _Text = "",
    scope: _Text = "",
    client_id: _Text = "",
    client_secret: _Text = "",
) -> Response:
    """An access token for an API key: `client_id` is the key's id, `client_secret` the key itself.

    Both may come as `Authorization: Basic` or in the form. Without `scope`, the token may do all that the key may. It
    is good for a quarter of an hour, and ends with the key.
    """
    own = _own(request)
    try:
        if grant_type != "client_credentials":
            raise _Refused("unsupported_grant_type", "the grant type must be client_credentials")
        who = _client(request, client_id, client_secret)
        wanted = set(scope.split()) or set(who.scopes)
        if not wanted <= who.scopes:
            raise _Refused("invalid_scope", "the API key has none of that name")
    except _Refused as refusal:
        return _refusal(request, refusal)
    request.app.state.key_use.note(who)
    await spend(request, who, "requests")
    made, seconds = own.issue(who, known(wanted))
    answer = Token(access_token=made, expires_in=seconds, scope=" ".join(sorted(wanted)))
    return JSONResponse(answer.model_dump(), headers=_STORE_NOTHING)


@router.get("/.well-known/oauth-authorization-server", responses=declare(NotFound))
async def authorization_server(request: Request) -> dict[str, Any]:
    """Where the token endpoint and its keys are (RFC 8414)."""
    url = _own(request).url
    return {
        "issuer": url,
        "token_endpoint": f"{url}/v1/oauth/token",
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": sorted(EVERY_SCOPE),
    }


@router.get("/.well-known/jwks.json", responses=declare(NotFound))
async def key_set(request: Request) -> dict[str, Any]:
    """The public keys of this server's access tokens (RFC 7517)."""
    return _own(request).key_set()


def _own(request: Request) -> "OwnTokens":
    own: OwnTokens | None = request.app.state.parts.own_tokens
    if own is None:
        raise NotFound("this server issues no access tokens; its operator can set HEADRACE_PUBLIC_URL")
    return own


def _client(request: Request, identifier: str, secret: str) -> Identity:
    given = request.headers.get("authorization", "")
    if given:
        if identifier or secret:
            raise _Refused("invalid_request", "the client must authenticate in one way")
        identifier, secret = _basic(given)
    identities: Identities = request.app.state.identities
    if not identifier or keys.id_of(secret) != identifier:
        raise _Refused("invalid_client", "client_id must be an API key's id, client_secret the key")
    try:
        return identities.by_key(identifier, secret)
    except Unauthorized as error:
        raise _Refused("invalid_client", error.detail) from error


def _basic(given: str) -> tuple[str, str]:
    """Id and secret of HTTP Basic, each form-encoded before (RFC 6749, 2.3.1)."""
    scheme, _, encoded = given.partition(" ")
    try:
        told = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        told = ""
    identifier, colon, secret = told.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise _Refused("invalid_client", "the Authorization header is not HTTP Basic")
    return unquote_plus(identifier), unquote_plus(secret)


def _refusal(request: Request, refusal: _Refused) -> Response:
    body = TokenRefusal(error=refusal.error, error_description=refusal.told).model_dump()
    if refusal.error != "invalid_client":
        return JSONResponse(body, 400, _STORE_NOTHING)
    challenge = {"WWW-Authenticate": 'Basic realm="headrace"'} if "authorization" in request.headers else {}
    return JSONResponse(body, 401, {**_STORE_NOTHING, **challenge})

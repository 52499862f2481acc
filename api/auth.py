"""Who calls: an API key in `Authorization: Bearer KEY`, kept here only as its sha256.

A route that takes `Tenant` is authorised; one without it is visibly public. Keys in a query are never read.
"""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.parts import PartsOf
from schemas.errors import Unauthorized

_scheme = HTTPBearer(auto_error=False, description="An API key of this server.")


async def _tenant(
    request: Request, parts: PartsOf, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]
) -> str:
    if given is None:
        raise Unauthorized
    digest = hashlib.sha256(given.credentials.strip().encode()).hexdigest().encode()
    # Every key is compared, each in constant time: how long it takes tells nothing about which one was near.
    found = [tenant for key, tenant in parts.settings.api_keys.items() if hmac.compare_digest(key.encode(), digest)]
    if not found:
        raise Unauthorized
    request.state.caller = f"key {digest[:8].decode()}, {request.state.request_id}"
    return found[0]


async def _caller(request: Request, tenant: Annotated[str, Depends(_tenant)]) -> str:
    return str(request.state.caller)


Tenant = Annotated[str, Depends(_tenant)]
Caller = Annotated[str, Depends(_caller)]
"""Whose hand it was, for an audit: the first digits of the key's sha256, and the request's id."""

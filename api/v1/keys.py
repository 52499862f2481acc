"""API keys: make one, see them, give one a new secret, end one."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth.doors import KeysRead, KeysWrite, audited
from api.auth.identities import KeyReader
from api.errors import InvalidRequest, declare
from api.json_route import JsonRoute
from api.parts import PartsOf
from schemas import keys
from schemas.errors import BadRequest, DependencyDown, Forbidden, KeyEnded, NotFound, TooManyKeys
from schemas.keys import KEY_ID, ApiKey, KeyCreated, KeyEntry, KeyList, KeyRotation, KeySecret, NewKey
from schemas.paging import PageQuery

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=JsonRoute)
_Id = Annotated[str, Path(pattern=rf"^{KEY_ID}$", description="The key's id.")]
_KNOWN_SECONDS = 2.0
_LOOK_SECONDS = 0.02


@router.post("", status_code=201, responses=declare(TooManyKeys, InvalidRequest, DependencyDown))
async def key_creation(
    request: Request, response: Response, wanted: NewKey, who: KeysWrite, parts: PartsOf
) -> KeyCreated:
    """Make a key. Its secret is told in this answer and never again.

    A key may do at most what its maker may; 403 names what is beyond that. A key with limits of its own makes keys
    with the same ones. It is good at every API process within a minute, as a rule at once.
    """
    scopes = sorted(who.scopes if wanted.scopes is None else set(wanted.scopes))
    if beyond := sorted(set(scopes) - who.scopes):
        raise Forbidden(beyond)
    expires = _expiry(wanted, parts.entries.key(who.key) if who.key else None)
    identifier = keys.new_id()
    key = keys.new_key(identifier)
    secret = KeySecret(sha256=keys.sha256(key))
    limits = who.limits or wanted.limits
    entry = KeyEntry(tenant=who.tenant, scopes=tuple(scopes), secrets=(secret,), expires_at=expires, limits=limits)
    made = await parts.keys.create(who.tenant, identifier, entry, wanted.name, audited(request, who))
    await _until(lambda: _opens(parts.entries, identifier, key))
    response.headers["Location"] = f"/v1/keys/{identifier}"
    return _told(response, made, key)


@router.get("", responses=declare(BadRequest, InvalidRequest, DependencyDown))
async def key_list(query: Annotated[PageQuery, Query()], who: KeysRead, parts: PartsOf) -> KeyList:
    """The caller's tenant's keys, newest first, those that ended included."""
    return await parts.keys.keys(who.tenant, query)


@router.get("/{key}", responses=declare(NotFound, InvalidRequest, DependencyDown))
async def key_view(key: _Id, who: KeysRead, parts: PartsOf) -> ApiKey:
    """One key."""
    return _found(await parts.keys.key(who.tenant, key))


@router.post("/{key}/rotate", responses=declare(NotFound, KeyEnded, InvalidRequest, DependencyDown))
async def key_rotation(
    response: Response, key: _Id, who: KeysWrite, parts: PartsOf, wanted: KeyRotation | None = None
) -> KeyCreated:
    """Give a key a new secret, told this once. The one before it is good for `overlap_hours` more."""
    known = _found(await parts.keys.key(who.tenant, key))
    if beyond := sorted(set(known.scopes) - who.scopes):
        raise Forbidden(beyond)  # else a key could be taken over by one that may do less
    fresh = keys.new_key(key)
    overlap = timedelta(hours=(wanted or KeyRotation()).overlap_hours)
    made = _found(await parts.keys.rotate(who.tenant, key, keys.sha256(fresh), overlap))
    await _until(lambda: _opens(parts.entries, key, fresh))
    return _told(response, made, fresh)


@router.delete("/{key}", responses=declare(NotFound, InvalidRequest, DependencyDown))
async def key_revocation(key: _Id, who: KeysWrite, parts: PartsOf) -> ApiKey:
    """End a key for good, and the event streams and access tokens that were opened with it.

    It acts at every API process within a minute while the log answers, as a rule at once.
    """
    ended = _found(await parts.keys.revoke(who.tenant, key))
    await _until(lambda: not _stands(parts.entries, key))
    return ended


def _found(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise NotFound("there is no such key")
    return key


def _expiry(wanted: NewKey, maker: KeyEntry | None) -> datetime | None:
    """No key outlives the one that made it: else whoever holds a key that expires could have it for ever."""
    ends = [] if maker is None or maker.expires_at is None else [maker.expires_at]
    if wanted.expires_in_days is not None:
        ends.append(datetime.now(UTC) + timedelta(days=wanted.expires_in_days))
    return min(ends, default=None)


def _told(response: Response, made: ApiKey, key: str) -> KeyCreated:
    response.headers["Cache-Control"] = "no-store"
    return KeyCreated(**made.model_dump(), key=key)


def _opens(entries: KeyReader, identifier: str, key: str) -> bool:
    entry = entries.key(identifier)
    return entry is not None and entry.opens(key, datetime.now(UTC))


def _stands(entries: KeyReader, identifier: str) -> bool:
    entry = entries.key(identifier)
    return entry is not None and entry.stands(datetime.now(UTC))


async def _until(heard: Callable[[], bool]) -> None:
    """Wait a moment for the change to come back by the log: then at least this process knows of it."""
    patience = asyncio.get_running_loop().time() + _KNOWN_SECONDS
    while not heard() and asyncio.get_running_loop().time() < patience:  # noqa: ASYNC110 a client's thread hears
        await asyncio.sleep(_LOOK_SECONDS)

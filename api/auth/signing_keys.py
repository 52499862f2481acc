"""The keys of one issuer, fetched (RFC 7517, RFC 8414): kept as long as nothing better is heard, asked for seldom."""

import asyncio
import json
import logging
import time
from collections.abc import Callable

import httpx2

from api.auth import jws
from api.auth.jws import Key
from schemas.errors import DependencyDown
from schemas.issuers import Issuer

log = logging.getLogger(__name__)
REFRESH_SECONDS = 600.0
"""How old keys become before they are asked for again, beside the requests that go on with the old ones."""
UNKNOWN_SECONDS = 30.0
"""At least so long passes between two questions for a key that is not known: anybody can name such keys."""
_FIRST_SECONDS = 1.0
_MOST_SECONDS = 5.0
_TIMEOUT = httpx2.Timeout(_MOST_SECONDS)
_MOST_BYTES = 256 * 1024
_MOST_KEYS = 100
_METADATA = ("openid-configuration", "oauth-authorization-server")


class SigningKeys:
    """What an issuer signs with; `client` fetches it."""

    def __init__(self, issuer: Issuer, client: httpx2.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._client = client
        self._clock = clock
        self._keys: list[Key] | None = None
        self._asked = self._got = -float("inf")
        self._one_at_a_time = asyncio.Lock()
        self._beside: asyncio.Task[None] | None = None

    async def named(self, kid: str | None) -> list[Key]:
        """The keys of this id, or all of them without one; none where it is not known.

        Raises `DependencyDown` where the issuer's keys were never had.
        """
        if self._keys is None:
            await self._refreshed(_FIRST_SECONDS)
        elif self._clock() - self._got > REFRESH_SECONDS and (self._beside is None or self._beside.done()):
            self._beside = asyncio.create_task(self._refreshed(UNKNOWN_SECONDS))
        if not (found := self._known(kid)) and kid is not None:
            await self._refreshed(UNKNOWN_SECONDS)
            found = self._known(kid)
        if self._keys is None:
            raise DependencyDown("the issuer's keys cannot be fetched; try again", retry_after=_FIRST_SECONDS)
        return found

    def _known(self, kid: str | None) -> list[Key]:
        return [key for key in self._keys or () if kid is None or key.kid == kid]

    async def _refreshed(self, apart: float) -> None:
        """Fetch, unless that was tried less than `apart` seconds ago; what fails leaves what there was."""
        async with self._one_at_a_time:
            if self._clock() - self._asked < apart:
                return
            self._asked = self._clock()
            try:
                async with asyncio.timeout(2 * _MOST_SECONDS):
                    keys = jws.public_keys(await self._fetched(await self._address()))[:_MOST_KEYS]
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, TimeoutError, RecursionError) as error:
                log.warning("the keys of %s cannot be fetched: %s", self._issuer.issuer, type(error).__name__)
                return
            if not keys:
                log.warning("%s names no key that can be used", self._issuer.issuer)
                return
            self._keys, self._got = keys, self._clock()

    async def _address(self) -> str:
        if self._issuer.jwks is not None:
            return self._issuer.jwks
        for name in _METADATA:
            try:
                told = await self._fetched(f"{self._issuer.issuer.rstrip('/')}/.well-known/{name}")
            except (httpx2.HTTPStatusError, ValueError):
                continue
            # RFC 8414, 3.3: metadata that speaks for another issuer is none.
            if isinstance(told, dict) and told.get("issuer") == self._issuer.issuer:
                return Issuer(issuer=str(told.get("jwks_uri")), audience="-").issuer
        raise ValueError("no metadata")

    async def _fetched(self, url: str) -> object:
        async with self._client.stream("GET", url, timeout=_TIMEOUT, follow_redirects=False) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise httpx2.HTTPStatusError("no 200", request=answer.request, response=answer)
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ValueError("too long")
        return json.loads(body)

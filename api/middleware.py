"""Around every request: its id, its size, its seconds, and the last net under it.

Plain ASGI: a response is passed through as it is, and an upload is not touched on its way in.
"""

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import deprecation
from api.auth import policies
from api.errors import HeadTooLarge, TargetTooLong, problem
from api.metrics import ApiMetrics
from schemas.errors import BadRequest, HeadraceError

log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BODY_LIMIT = 1024 * 1024
_TARGET_LIMIT = 8 * 1024
_HEAD_LIMIT, _MOST_HEADERS = 32 * 1024, 100
_ONCE = (b"authorization", b"content-type", b"content-encoding", b"idempotency-key", b"cancel-after")
_BODY_SECONDS = 20.0
_LEAST_RATE = 500.0  # bytes a second: with these two, what Apache's mod_reqtimeout asks of a body
_LINGER_BYTES = 256 * 1024 * 1024
_LINGER_SECONDS = 5.0


class RequestFrame:
    """Frames each request of `app`; the paths in `streamed` limit and pace their own bodies."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, streamed: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's next event, as ASGI 3 defines it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, None if scope["path"] in self._streamed else _BODY_LIMIT)
        begun, app = time.monotonic(), self._app
        if (fault := _fault(scope)) is not None:
            app = problem(Request(scope), fault)
        try:
            await app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = 499  # as nginx counts callers that went away; nobody is left to be answered
        except Exception:  # the last net: whatever it is, it is logged here and told without its insides
            log.exception("request %s failed", exchange.id)
            if exchange.status is None:
                answer = problem(Request(scope), HeadraceError())
                await answer(scope, exchange.receive, exchange.send)
        finally:
            path = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.observe(path, exchange.status or 500, (exchange.streaming or time.monotonic()) - begun)


def _fault(scope: Scope) -> HeadraceError | None:
    """What is wrong with a request's first line and headers: the protocol bounds only what it has to wait for.

    A body with two ends is where one request is read as two, by who stands before us; of a header given twice each may
    take another. Nothing behind such a request is answered.
    """
    names = [name for name, _ in scope["headers"]]
    if b"transfer-encoding" in names and b"content-length" in names:
        return BadRequest("give either Content-Length or Transfer-Encoding, and not both")
    if len(set(names)) < len(names) and (twice := [name for name in _ONCE if names.count(name) > 1]):
        return BadRequest(f"the header {twice[0].decode()} is given more than once")
    if len(scope["raw_path"]) + len(scope["query_string"]) > _TARGET_LIMIT:
        return TargetTooLong()
    sizes = [len(name) + len(value) for name, value in scope["headers"]]
    return HeadTooLarge() if len(sizes) > _MOST_HEADERS or sum(sizes) > _HEAD_LIMIT else None


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int | None) -> None:
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        self.id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        self._scope = scope
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self.id
        self.status: int | None = None
        self.streaming: float | None = None  # since when; how long a stream stays open says nothing of our speed
        self._receive = receive
        self._send = send
        self._limit = limit
        self._size = 0
        self._waited = 0.0
        self._read = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
        self._expecting = b"expect" in headers

    async def receive(self) -> Message:
        """The next part of the body; ends one that is larger than the route's limit, or comes too slowly."""
        message = await self._receive() if self._read else await self._received_in_time()
        self._size += len(message.get("body", b""))
        self._read = message["type"] == "http.disconnect" or not message.get("more_body", False)
        if self._limit is not None and self._size > self._limit:
            raise HTTPException(413)
        return message

    async def _received_in_time(self) -> Message:
        """Only what the caller lets us wait counts, not how long we are busy with what it sent."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, _BODY_SECONDS + self._size / _LEAST_RATE - self._waited)):
                return await self._receive()
        except TimeoutError as error:
            raise HTTPException(408) from error
        finally:
            self._waited += time.monotonic() - begun

    async def send(self, message: Message) -> None:
        """The answer, with its request id, how its caller's limits stand, and whether the route will go."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if dict(message["headers"]).get(b"content-type", b"").startswith(b"text/event-stream"):
                self.streaming = time.monotonic()
            names = [(b"x-request-id", self.id.encode()), (b"x-content-type-options", b"nosniff")]
            told = policies.fields(self._state.get("uses", ())) | deprecation.fields(self._scope.get("route"))
            names += [(name.encode(), value.encode()) for name, value in told.items()]
            if not self._read:  # a caller that goes on sending would hold the connection for ever
                names.append((b"connection", b"close"))
            message = {**message, "headers": [*message["headers"], *names]}
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if last and not self._read and not self._expecting:
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _linger(self) -> None:
        """Take in what the caller still sends: a connection that closes with bytes unread is reset, its answer lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._read and self._size < _LINGER_BYTES:
                    message = await self._receive()
                    self._size += len(message.get("body", b""))
                    self._read = message["type"] == "http.disconnect" or not message.get("more_body", False)

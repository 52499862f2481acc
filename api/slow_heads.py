"""uvicorn's HTTP protocol with a clock: who does not say what it wants holds no connection."""

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.errors import RequestTimeout

HEAD_SECONDS = 15.0
"""How long a request's line and headers may take from their first byte, and a new connection until its first byte."""
_LATE = RequestTimeout("the request's headers took too long")
_ANSWER = json.dumps(
    {"type": f"/problems/{_LATE.code}", "title": _LATE.title, "status": _LATE.status, "detail": _LATE.detail,
     "code": _LATE.code, "retryable": True}
).encode()  # fmt: skip


class TimedHeads(H11Protocol):
    """408 for a head that is not whole in time; a connection without a byte of one is closed without a word."""

    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Go on waiting while the head is not whole."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._wait_no_more()
        elif self._clock is None and self.conn.trailing_data[0]:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._clock = self.loop.call_later(HEAD_SECONDS, self._over)

    def _wait_no_more(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _over(self) -> None:
        self._clock = None
        if self.transport.is_closing() or self.conn.their_state is not h11.IDLE:
            return
        if self.conn.trailing_data[0] and self.conn.our_state is h11.IDLE:
            headers = [("content-type", "application/problem+json"), ("content-length", str(len(_ANSWER)))]
            events: tuple[Any, ...] = (
                h11.Response(status_code=408, headers=[*headers, ("connection", "close")], reason=b"Request Timeout"),
                h11.Data(data=_ANSWER),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()


HTTP: dict[str, Any] = {"http": TimedHeads, "h11_max_incomplete_event_size": 64 * 1024}
"""How uvicorn is to speak: a head may be of twice the size that is answered, whatever pieces it comes in."""

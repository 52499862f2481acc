"""Stories of jobs as server-sent events, pulled: a stream holds one small batch, its caller's socket sets the pace."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from fastapi.sse import format_sse_event
from prometheus_client import Gauge
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.auth.identity import Identity
from api.parts import JobBell
from schemas.errors import DependencyDown, Overloaded
from schemas.jobs import ENDS, JobEvent
from schemas.ports import JobReader

_BATCH = 100
_HEARTBEAT = 8.0  # seconds; with a read that hangs before it, comments still come at most 15 s apart
_READ_SECONDS = 5.0
_POLL = 1.0  # seconds between reads while PostgreSQL cannot wake us
_SEND_SECONDS = 60.0  # a caller that takes nothing for so long is gone
_READS_AT_ONCE = 4  # of the reader's eight connections: other requests find one
_RETRY_MS = 1000
_BEGIN = format_sse_event(retry=_RETRY_MS)
_NOTHING_NEW = format_sse_event(comment="nothing new")
MEDIA_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the second keeps nginx from collecting events


class EventStreams:
    """The event streams of one API process, at most `limit` at once; `open` counts them.

    A stream ends, without a last event, once `stands` says that its caller would no longer be let in.
    """

    def __init__(
        self, reader: JobReader, bell: JobBell, limit: int, gauge: Gauge, stands: Callable[[Identity], bool]
    ) -> None:
        self._reader = reader
        self._bell = bell
        self._limit = limit
        self._gauge = gauge
        self._stands = stands
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)
        self._waiting: set[asyncio.Event] = set()
        self._ending = False
        self.open = 0

    def admit(self) -> None:
        """Raise `Overloaded` when no further stream may be opened here."""
        if self._ending or self.open >= self._limit:
            raise Overloaded("this server follows as many jobs as it may; try again", retry_after=1)

    def end(self) -> None:
        """End all streams, as the process is to end: callers come back to another one and lose nothing."""
        self._ending = True
        for bell in self._waiting:
            bell.set()

    def response(self, who: Identity, job: str, after: int, run: int) -> "StreamResponse":
        """Events behind number `after`, closed behind the newest event when that ends run `run` or a later one."""
        return StreamResponse(self, self._story(who, job, after, run))

    async def until_ended(self, who: Identity, job: str, seconds: float) -> bool:
        """Wait for the end of a job's first run, at most `seconds`: whether it came. It counts as a stream."""
        if self._ending or self.open >= self._limit:
            return False
        self.opened(1)
        try:
            async with asyncio.timeout(seconds), aclosing(self._batches(who.tenant, job, 0)) as batches:
                async for batch in batches:
                    if any(ended(event, 1) for event in batch):
                        return True
        except TimeoutError:
            return False
        finally:
            self.opened(-1)
        return False

    def opened(self, change: int) -> None:
        """Count a stream that was opened (1) or closed (-1)."""
        self.open += change
        self._gauge.set(self.open)

    async def _story(self, who: Identity, job: str, after: int, run: int) -> AsyncGenerator[bytes]:
        yield _BEGIN
        sent = time.monotonic()
        async with aclosing(self._batches(who.tenant, job, after)) as batches:
            async for batch in batches:
                if not self._stands(who):
                    return
                if batch:
                    yield b"".join(map(_line, batch))
                elif time.monotonic() - sent >= _HEARTBEAT:
                    yield _NOTHING_NEW
                else:
                    continue
                sent = time.monotonic()
                if len(batch) < _BATCH and any(ended(event, run) for event in batch[-1:]):
                    return

    async def _batches(self, tenant: str, job: str, after: int) -> AsyncGenerator[Sequence[JobEvent]]:
        """What is new, again and again; an empty batch whenever it is time to look at the clock."""
        with self._bell.watch(job) as bell:
            self._waiting.add(bell)
            try:
                while not self._ending:
                    bell.clear()  # before the read: what is written after it rings again
                    batch = await self._read(tenant, job, after)
                    yield batch or ()
                    if batch:
                        after = batch[-1].seq
                    else:
                        patience = _HEARTBEAT if self._bell.listening and batch is not None else _POLL
                        await _rung(bell, patience)
            finally:
                self._waiting.discard(bell)

    async def _read(self, tenant: str, job: str, after: int) -> Sequence[JobEvent] | None:
        """The next events; None while PostgreSQL does not answer."""
        try:
            async with asyncio.timeout(_READ_SECONDS), self._reads:
                return await self._reader.events(tenant, job, after, _BATCH)
        except (DependencyDown, TimeoutError):
            return None


class StreamResponse(StreamingResponse):
    """An event stream that counts as open while it is sent, and is freed however that ends.

    FastAPI's own puts a task and a buffer between the events and the socket, which would set the pace itself.
    """

    def __init__(self, streams: EventStreams, story: AsyncGenerator[bytes]) -> None:
        super().__init__(story, headers=_HEADERS, media_type=MEDIA_TYPE)
        self._story = story
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; raises `ClientDisconnect` when the caller takes nothing for a minute."""

        async def patient(message: Message) -> None:
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await send(message)
            except TimeoutError as error:
                raise ClientDisconnect from error

        self._streams.opened(1)
        try:
            async with aclosing(self._story):
                await super().__call__(scope, receive, patient)
        finally:
            self._streams.opened(-1)


def ended(event: JobEvent, run: int) -> bool:
    """Whether a story may end with this event."""
    return event.event in ENDS and event.run >= run


def _line(event: JobEvent) -> bytes:
    return format_sse_event(id=str(event.seq), event=event.event, data_str=event.model_dump_json())


async def _rung(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return

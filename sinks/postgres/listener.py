"""One connection that hears of which jobs something new was written, for everybody in the process who waits."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from sinks.postgres.engine import FAULTS

log = logging.getLogger(__name__)
_CHANNEL = "headrace_jobs"
_PAUSE = 0.5  # seconds between attempts to connect
_PROBE = 5.0  # seconds: a connection that a firewall forgot says nothing, for ever


class JobListener:
    """Rings the bells of a job when PostgreSQL notifies of it, and all bells whenever it begins to listen (again).

    Whoever waits clears the bell, reads, then waits for it: so what is written at any time is read, and what was
    written while nobody listened as well. While `listening` is False no bell rings, and waiting needs a clock.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None
        self.listening = False

    def start(self) -> None:
        """Begin to listen, and go on for ever; PostgreSQL need not be there yet."""
        self._task = asyncio.create_task(self._listen(), name="job-listener")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def watched(self) -> int:
        """Jobs that somebody waits for."""
        return len(self._bells)

    @contextmanager
    def watch(self, job: str) -> Iterator[asyncio.Event]:
        """A bell that rings for this job until the block ends."""
        bell = asyncio.Event()
        self._bells.setdefault(job, set()).add(bell)
        try:
            yield bell
        finally:
            bells = self._bells[job]
            bells.discard(bell)
            if not bells:
                del self._bells[job]

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except FAULTS as error:
                log.warning("no notifications of jobs for now (%s)", type(error).__name__)
            await asyncio.sleep(_PAUSE)

    async def _hear(self) -> None:
        """Listen on one connection until it is lost."""
        named = {"application_name": "headrace-listener"}
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=5, server_settings=named)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(_CHANNEL, self._heard)
            self.listening = True
            for job in list(self._bells):
                self._ring(job)
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE):
                        await lost.wait()
                if not lost.is_set():
                    await connection.execute("SELECT 1")
        finally:
            self.listening = False
            connection.terminate()

    def _heard(self, connection: object, process: int, channel: str, payload: object) -> None:
        self._ring(str(payload))

    def _ring(self, job: str) -> None:
        for bell in self._bells.get(job, ()):
            bell.set()

"""A connection that hears notifications of some channels, and calls whenever one comes or could have been missed."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

import asyncpg

from sinks.postgres.engine import FAULTS

log = logging.getLogger(__name__)
_PAUSE = 0.5  # seconds between attempts to connect
_PROBE = 5.0  # seconds: a connection that a firewall forgot says nothing, for ever


class Bell:
    """Calls what belongs to a channel, from `start` on; all of them whenever it begins to listen (again)."""

    def __init__(self, url: str, calls: Mapping[str, Callable[[], object]]) -> None:
        self._url = url
        self._calls = calls
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, and go on for ever; PostgreSQL need not be there yet."""
        self._task = asyncio.create_task(self._listen(), name="bell")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except FAULTS as error:
                log.warning("no notifications for now (%s)", type(error).__name__)
            await asyncio.sleep(_PAUSE)

    async def _hear(self) -> None:
        named = {"application_name": "headrace-bell"}
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=5, server_settings=named)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            for channel in self._calls:
                await connection.add_listener(channel, self._heard)
            for call in self._calls.values():
                call()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE):
                        await lost.wait()
                if not lost.is_set():
                    await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    def _heard(self, connection: object, process: int, channel: str, payload: object) -> None:
        self._calls[channel]()

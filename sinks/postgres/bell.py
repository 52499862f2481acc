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
    """Calls what belongs to a channel, from `start` on; all of them whenever it begins to listen (again).

    A call is given the notification's payload, and None where any could have been missed. While `listening` is False
    nothing is heard. `name` is what PostgreSQL's operators see of the connection.
    """

    def __init__(self, url: str, calls: Mapping[str, Callable[[str | None], object]], name: str) -> None:
        self._url = url
        self._calls = calls
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self.listening = False

    def start(self) -> None:
        """Begin to listen, and go on for ever; PostgreSQL need not be there yet."""
        self._task = asyncio.create_task(self._listen(), name=self._name)

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
                log.warning("%s: no notifications for now (%s)", self._name, type(error).__name__)
            await asyncio.sleep(_PAUSE)

    async def _hear(self) -> None:
        """Listen on one connection until it is lost."""
        named = {"application_name": self._name}
        connection = await asyncpg.connect(self._url, timeout=5, command_timeout=5, server_settings=named)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            for channel in self._calls:
                await connection.add_listener(channel, self._heard)
            self.listening = True
            for call in self._calls.values():
                call(None)
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
        self._calls[channel](str(payload))

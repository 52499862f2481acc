"""A loop beside a sink, in its process: begun once PostgreSQL answers; should it fail, the process ends."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any

from sinks.postgres.bell import Bell

log = logging.getLogger(__name__)
EXIT_FAILED = 70
_TIDY_SECONDS = 5.0


class Loop:
    """A task of the sink's event loop, with the bell that wakes it."""

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]], bell: Bell) -> None:
        self._name = name
        self._work = work
        self._bell = bell
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start, once."""
        if self._task is None:
            self._bell.start()
            self._task = asyncio.create_task(self._work(), name=self._name)
            self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Begin nothing more."""
        if self._task is not None:
            self._task.cancel()

    async def end(self) -> None:
        """Stop, and let it tidy up."""
        self.stop()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_TIDY_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("%s failed; ending the process", self._name, exc_info=task.exception())
            os._exit(EXIT_FAILED)

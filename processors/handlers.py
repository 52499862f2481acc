"""What the loop drives: a step in its one engine thread, or a sink on the event loop, behind one shape."""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from schemas.records import Partition
from schemas.work import Answer, Sink, Step, Task

log = logging.getLogger(__name__)


class Handler(Protocol):
    """One answer a task, in order; raising means that the batch failed as a whole."""

    name: str

    async def open(self) -> None:
        """Get ready; raises `DependencyDown` while that is not possible."""
        ...

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """Run a batch."""
        ...

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """Nothing is left to read; all before `caught_up_at` is done."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


def _leave(reason: str) -> None:
    log.critical("%s; ending the process, its records are read again", reason)
    os._exit(70)


class StepHandler:
    """A step in one thread of its own: inference never runs on the event loop.

    A call that takes longer than `deadline` seconds ends the process: a thread cannot be killed, and the supervisor
    brings the worker back under the same slot.
    """

    def __init__(self, step: Step, deadline: float, *, leave: Callable[[str], None] = _leave) -> None:
        self.name = step.name
        self._step = step
        self._deadline = deadline
        self._leave = leave
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{step.name}")

    async def open(self) -> None:
        """Load the models."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._step.load)

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """Run a batch in the engine thread."""
        call = asyncio.get_running_loop().run_in_executor(self._thread, self._step.run, tasks)
        done, _ = await asyncio.wait({call}, timeout=self._deadline)
        if not done:
            self._leave(f"{self.name} took longer than {self._deadline:.0f} s for {tasks[0].record}")
        return call.result()

    async def idle(self, caught_up_at: float, partitions: Sequence[Partition]) -> None:
        """A step has nothing to tell."""

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class SinkHandler:
    """A sink: the batch is one transaction, so its events belong to the batch and not to a task."""

    def __init__(self, sink: Sink) -> None:
        self.name = sink.name
        self._sink = sink
        self.open = sink.open
        self.idle = sink.idle
        self.close = sink.close

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """Write the batch."""
        events = await self._sink.write(tasks)
        return [events, *([()] * (len(tasks) - 1))]

"""What the loop drives: a step in its one engine thread, or a sink on the event loop, behind one shape."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from processors.pulse import Pulse
from schemas.errors import Contended
from schemas.records import Outgoing, Partition
from schemas.work import Answer, NotesIdle, Sink, Step, Task

log = logging.getLogger(__name__)
CONTENDED_SECONDS = (0.05, 0.2, 0.5)
"""The longest waits before a transaction that gave way is tried again."""


class Handler(Protocol):
    """One answer a task, in order; raising means that the batch failed as a whole."""

    name: str

    async def open(self) -> None:
        """Get ready; raises `DependencyDown` while that is not possible."""
        ...

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """Run a batch."""
        ...

    @property
    def idle(self) -> Callable[[float, Sequence[Partition]], Awaitable[None]] | None:
        """What is told that nothing is left to read, as `NotesIdle`; None where nobody wants to know."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class StepHandler:
    """A step in one thread of its own: inference never runs on the event loop.

    A call that takes longer than `deadline` seconds ends the process by `leave`: a thread cannot be killed, and the
    supervisor brings the worker back under the same slot.
    """

    idle = None

    def __init__(
        self, step: Step, deadline: float, *, leave: Callable[[str], object], pulse: Pulse | None = None
    ) -> None:
        self.name = step.name
        self._step = step
        self._deadline = deadline
        self._leave = leave
        self._pulse = pulse or Pulse()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{step.name}")

    async def open(self) -> None:
        """Load the models."""
        with self._pulse.bounded_call():  # by whoever waits for the worker to be ready
            await asyncio.get_running_loop().run_in_executor(self._thread, self._step.load)

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """Run a batch in the engine thread."""
        call = asyncio.get_running_loop().run_in_executor(self._thread, self._step.run, tasks)
        with self._pulse.bounded_call():
            done, _ = await asyncio.wait({call}, timeout=self._deadline)
        if not done:
            self._leave(f"{self.name} took longer than {self._deadline:.0f} s for {tasks[0].record}")
        return call.result()

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class SinkHandler:
    """A sink: the batch is one transaction, so its events belong to the batch and not to a task.

    One that had to give way to another transaction is written again at once, three times; then it is held.
    """

    def __init__(self, sink: Sink, dice: random.Random | None = None) -> None:
        self.name = sink.name
        self._sink = sink
        self._dice = dice or random.Random()  # noqa: S311 jitter
        self.open = sink.open
        self.idle = sink.idle if isinstance(sink, NotesIdle) else None
        self.close = sink.close

    async def handle(self, tasks: Sequence[Task]) -> Sequence[Answer]:
        """Write the batch."""
        for longest in CONTENDED_SECONDS:
            try:
                return self._answers(tasks, await self._sink.write(tasks))
            except Contended as error:
                log.info("%s: %s", self.name, error)
                await asyncio.sleep(self._dice.uniform(0.0, longest))
        return self._answers(tasks, await self._sink.write(tasks))

    @staticmethod
    def _answers(tasks: Sequence[Task], events: Sequence[Outgoing]) -> Sequence[Answer]:
        return [events, *([()] * (len(tasks) - 1))]

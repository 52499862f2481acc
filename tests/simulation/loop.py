"""An event loop whose time is virtual and whose order is a seed's: what may run next is drawn, never queued.

asyncio promises first come, first served; nothing of ours may rely on it, so of all that is ready any may be next. A
process can be killed (nothing of it ever runs again, no `finally` either) or paused (it goes on later, and has noticed
nothing). Threads are calls that begin and end after virtual times.
"""

import asyncio
import contextvars
import heapq
import random
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any

STEP_LIMIT = 60_000
_WAKES = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]  # all that `sleep` leaves behind
AT_ONCE = 8
"""Steps between two looks at whether all is done."""


class Died(BaseException):
    """Raised by simulated work that ends its process."""


class Process:
    """Something that can be killed or paused: its tasks, and what else is to be known when it dies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.fuse: int | None = None
        self.stash: list[_Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.at_death: list[Callable[[], object]] = []


CURRENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
OUTSIDE = contextvars.Context()
"""Where things happen that are no process of ours: the broker, the database, the network."""


class _Handle:
    __slots__ = ("arguments", "callback", "cancelled_", "context", "process", "when_")

    def __init__(self, callback: Any, arguments: Any, context: contextvars.Context, when: float = 0.0) -> None:
        self.callback = callback
        self.arguments = arguments
        self.context = context
        self.process = context.get(CURRENT)
        self.cancelled_ = False
        self.when_ = when

    def cancel(self) -> None:
        self.cancelled_ = True
        self.callback = self.arguments = None

    def cancelled(self) -> bool:
        return self.cancelled_

    def when(self) -> float:
        return self.when_


class VirtualLoop(asyncio.AbstractEventLoop):
    """One history's loop."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.failures: list[str] = []
        self._ready: list[_Handle] = []
        self._timers: list[tuple[float, int, _Handle]] = []
        self._count = 0
        self._made: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        return self.now

    get_debug = staticmethod(bool)  # type: ignore[assignment]  # asked for every future: no frame of ours

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None, **_: Any) -> Any:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._made.append(task)
        return task

    def spawn(self, process: Process, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of a process."""
        context = OUTSIDE.copy()
        context.run(CURRENT.set, process)
        return self.create_task(coroutine, context=context)

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args, contextvars.copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = _Handle(callback, args, contextvars.copy_context() if context is None else context, when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def outside(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Let something happen that no death of a process stops."""
        if delay:
            self.call_later(delay, callback, *args, context=OUTSIDE)
        else:
            self.call_soon(callback, *args, context=OUTSIDE)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """A call in a thread: it begins and ends some time later, and a death in between leaves its effect."""
        future = self.create_future()
        process = CURRENT.get()

        def begin() -> None:
            try:
                result = func(*args)
            except Died:
                assert process is not None
                self.kill(process)
            except Exception as error:  # noqa: BLE001 whatever a thread raises is its caller's
                self.call_later(self.random.uniform(0, 0.01), _end, future, None, error)
            else:
                self.call_later(self.random.uniform(0, 0.01), _end, future, result, None)

        self.call_later(self.random.uniform(0, 0.02), begin)
        return future

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        """Signals of the simulation are calls."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def kill(self, process: Process) -> None:
        """Kill -9."""
        if not process.alive:
            return
        process.alive = False
        process.stash.clear()
        for act in process.at_death:
            act()

    def pause(self, process: Process) -> None:
        """SIGSTOP."""
        process.paused = True

    def resume(self, process: Process) -> None:
        """SIGCONT."""
        process.paused = False
        if process.alive:
            self._ready.extend(process.stash)
        process.stash.clear()

    def run(self, until: Callable[[], bool], limit: float) -> bool:
        """Run until a condition holds that no callback of the loop makes untrue; False where it never came to that."""
        asyncio._set_running_loop(self)
        try:
            while not until():
                if self.steps >= STEP_LIMIT or self.now > limit or not self._some():
                    return False
            return True
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """Let go of all tasks without running a line of them where that can be helped."""
        asyncio._set_running_loop(self)
        try:
            for task in self._made:
                if not task.done():
                    try:
                        task.get_coro().close()  # type: ignore[union-attr]
                    except (RuntimeError, ValueError, AttributeError):
                        continue  # a `finally` that awaits: nobody is left to hear it
        finally:
            asyncio._set_running_loop(None)
        self._ready.clear()
        self._timers.clear()
        self._made.clear()

    def _some(self) -> bool:
        """Run some handles; False where nothing is left to run."""
        ready, timers, draw = self._ready, self._timers, self.random.random
        for _ in range(AT_ONCE):
            while timers and (timers[0][0] <= self.now or not ready):
                self.now = max(self.now, timers[0][0])
                handle = heapq.heappop(timers)[2]
                if handle.callback is _WAKES:  # who slept is ready now, and drawn as any other
                    handle.callback(*handle.arguments)
                elif not handle.cancelled_:
                    ready.append(handle)
            if not ready:
                return False
            place = int(draw() * len(ready))
            handle = ready[place]
            ready[place] = ready[-1]
            ready.pop()
            if not handle.cancelled_ and ((process := handle.process) is None or self._runs(process, handle)):
                self.steps += 1
                handle.context.run(handle.callback, *handle.arguments)
        return True

    def _runs(self, process: Process, handle: _Handle) -> bool:
        if not process.alive:
            return False
        if process.paused:
            process.stash.append(handle)
            return False
        if process.fuse is not None:
            process.fuse -= 1
            if process.fuse < 0:
                self.kill(process)
                return False
        return True


def _end(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)

"""Servers that a fault run holds in its own hand: to kill, to stop, to start again."""

import os
import signal
import time
from contextlib import suppress
from types import TracebackType

from deploy.local import children
from deploy.local.children import Server


class Held:
    """One server, until the `with` block ends."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __enter__(self) -> "Held":
        self._child = children.start(self.server)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.resume()
        children.end([self._child], stop_signal=self.server.stop_signal)

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._child.poll() is None

    def kill(self) -> None:
        """kill -9 the server and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def end(self) -> None:
        """End it in order."""
        children.end([self._child], stop_signal=self.server.stop_signal)

    def start(self) -> None:
        """Start it on the same files; returns once it answers."""
        self._child = children.start(self.server)

    def crash(self) -> float:
        """kill -9 and start again; seconds until it answers."""
        begun = time.monotonic()
        self.kill()
        self.start()
        return time.monotonic() - begun

    def stop(self) -> None:
        """SIGSTOP: it is there, and does not answer."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGCONT)

"""One decoding process, as its parent holds it."""

import dataclasses
import json
import logging
import os
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import processors
from processors.decoding.limits import Limits
from processors.decoding.wire import receive
from schemas.errors import DependencyDown

_START_SECONDS = 30.0
_log = logging.getLogger(__name__)


@cache
def _say_online() -> None:
    """Say it once in the life of this process."""
    _log.warning("this kernel lets the decoding child have no network of its own: it could reach what this host can")


class Child:
    """A started child and the channel to it. Its constructor blocks until the child is ready.

    Raises `DependencyDown` when it does not come up: that is never a document's fault.
    """

    def __init__(self, limits: Limits) -> None:
        self.documents = 0
        self.idle = True
        self.offline = False
        """Whether no network is left to it, not even this machine's own."""
        self.channel, theirs = socket.socketpair()
        words = [str(theirs.fileno()), str(os.getpid()), json.dumps(dataclasses.asdict(limits))]
        with theirs:
            self._process = subprocess.Popen(
                # -P: nothing that lies where we were started is imported in a module's place
                [sys.executable, "-P", "-W", "ignore", "-m", "processors.decoding.child", *words],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={"PYTHONPATH": str(Path(processors.__path__[0]).parent)},  # and none of our secrets
                start_new_session=True,  # Ctrl-C is for the worker, which finishes its document first
            )
        try:
            ready, _ = receive(self.channel, most=0, deadline=time.monotonic() + _START_SECONDS)
        except (EOFError, OSError, ValueError) as error:
            self.end()
            raise DependencyDown("the decoding child does not start; this process's log has its words") from error
        self.offline = ready.get("offline") is True
        if not self.offline:
            _say_online()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ended(self, seconds: float) -> int | None:
        """The exit status of a child that ends by itself within `seconds`, else None."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> int:
        """Kill it if it runs, and reap it; the exit status is negative for the signal that ended it."""
        self.channel.close()
        self._process.kill()
        return self._process.wait()

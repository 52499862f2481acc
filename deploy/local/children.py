"""Child processes that never outlive their parent.

Start them from the main thread only: Linux sends the death signal when the *thread* that started a child ends.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_YIELDS = 7  # of nice: a fifth of the weight of a process that starts
LOCK_PATIENCE = 10.0
"""Seconds for which a server that ends at once is started again: its predecessor's last processes may still leave."""


class StartFailed(Exception):
    """A server did not come up; the message ends with the last lines of its log."""


class Server(Protocol):
    """An embedded server: how to make its folder ready, start it, and ask whether it answers."""

    name: str
    log: Path
    stop_signal: signal.Signals
    death_signal: signal.Signals

    def prepare(self) -> None:
        """Make the data folder once (blocking, about a second); raises `StartFailed`."""
        ...

    def command(self) -> Sequence[str]:
        """The argument list that runs the server in the foreground."""
        ...

    def answers(self) -> bool:
        """Whether a client is served now (blocking, at most a second)."""
        ...


def _bind_to_parent(parent: int, death_signal: int) -> Callable[[], None]:
    def bind() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return bind


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (Ctrl-C reaches only us), its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=_bind_to_parent(os.getpid(), death_signal),
        )


def give_way(pid: int) -> None:
    """Let processes that start come before this one, which works: under full load they took twice as long.

    Where Linux shares the processors by session (`sched_autogroup`), a process's own priority says nothing.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _YIELDS)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_YIELDS))


def start(server: Server, *, timeout: float = 60.0) -> subprocess.Popen[bytes]:
    """Start `server` and return once it answers; raises `StartFailed` after `timeout` seconds."""
    server.prepare()
    began = time.monotonic()
    child = spawn(server.command(), log=server.log, death_signal=server.death_signal)
    try:
        while not server.answers():
            waited = time.monotonic() - began
            if waited > timeout or (child.poll() is not None and waited > LOCK_PATIENCE):
                raise StartFailed(f"{server.name} does not answer after {waited:.0f} s:\n{tail(server.log)}")
            if child.poll() is not None:
                child = spawn(server.command(), log=server.log, death_signal=server.death_signal)
            time.sleep(0.1)
    except BaseException:
        end([child], grace=1, stop_signal=server.stop_signal)
        raise
    return child


@contextmanager
def running(server: Server) -> Iterator[None]:
    """`server`, started, and ended afterwards."""
    child = start(server)
    try:
        yield
    finally:
        end([child], stop_signal=server.stop_signal)


def end(
    children: Iterable[subprocess.Popen[bytes]], *, grace: float = 10.0, stop_signal: signal.Signals = signal.SIGTERM
) -> None:
    """Signal all, then wait; what is left after `grace` seconds is killed. Each is reaped."""
    alive = [child for child in children if child.poll() is None]
    for child in alive:
        child.send_signal(stop_signal)
    deadline = time.monotonic() + grace
    for child in alive:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def tail(log: Path, lines: int = 10) -> str:
    """The last lines of a log file, indented; empty where there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        text = file.read().decode(errors="replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

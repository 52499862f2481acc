"""Ports on 127.0.0.1: chosen free once, then kept, because Kafka tells its own port to its clients."""

import fcntl
import json
import os
import random
import socket
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

OURS = range(20_000, 32_000)
"""Below those that a system gives to outgoing connections (Linux from 32768, macOS from 49152): between the choice of
a port and its server's start, and while a server is started again, any connection of any process could take it."""


_given: set[int] = set()


def free(count: int = 1) -> list[int]:
    """So many different ports that nobody listens on right now, and that nobody else gets before this process ends."""
    found: list[int] = []
    with ExitStack() as held:
        # Not the common generator: tests give that a seed, and would all choose the same ones.
        for port in random.SystemRandom().sample(OURS, len(OURS)):
            if len(found) == count:
                return found
            if port in _given or not _claim(port):
                continue
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
                _given.add(port)
    raise OSError(f"fewer than {count} ports of 127.0.0.1 from {OURS.start} to {OURS.stop - 1} are free")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def keep(path: Path, names: Sequence[str], fixed: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the fixed one, or that in the file at `path` where still free, or a new one; all kept."""
    kept: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    ports = {name: kept[name] for name in names if name in kept and is_free(kept[name]) and _claim(kept[name])}
    ports.update(fixed)
    missing = [name for name in names if name not in ports]
    ports |= dict(zip(missing, free(len(missing)), strict=True))
    path.write_text(json.dumps(ports, indent=2))
    return ports


def _claim(port: int) -> bool:
    """Whether no other process that chooses here has the port; then it is this one's until it ends, however it ends.

    A stack binds its last port half a minute after it chose it. A stack or a test beside it took it for free till then.
    """
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _claims() -> int:
    """A file that all processes of this user lock a byte of for each port; closing it anywhere would let go of all."""
    path = Path(tempfile.gettempdir()) / f"headrace-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

"""Ports on 127.0.0.1: chosen free once, then kept, because Kafka tells its own port to its clients."""

import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path


def free(count: int = 1) -> list[int]:
    """So many different ports that nobody listens on right now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(held.getsockname()[1]) for held in sockets]
    finally:
        for held in sockets:
            held.close()


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
    ports = {name: kept[name] for name in names if name in kept and is_free(kept[name])}
    ports.update(fixed)
    missing = [name for name in names if name not in ports]
    ports |= dict(zip(missing, free(len(missing)), strict=True))
    path.write_text(json.dumps(ports, indent=2))
    return ports

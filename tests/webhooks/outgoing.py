"""What this process asks of the network: below every library that could ask."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

HERE = frozenset({"127.0.0.1", "::1"})


@contextmanager
def watched(*permitted: int) -> Iterator[list[object]]:
    """What is connected to or looked up while the block lasts, in whichever thread; all of it fails.

    Connections to the `permitted` ports of this machine are made, and not told.
    """
    seen: list[object] = []
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def ours(address: Any) -> bool:
        return isinstance(address, tuple) and address[0] in HERE and address[1] in permitted

    def connects(self: socket.socket, address: Any) -> None:
        if ours(address):
            return connect(self, address)
        seen.append(address)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "a test watches")

    def connects_quietly(self: socket.socket, address: Any) -> int:
        if ours(address):
            return connect_ex(self, address)
        seen.append(address)
        return errno.ECONNREFUSED

    def looks_up(host: object, *_: object, **__: object) -> NoReturn:
        seen.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "a test watches")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connects)
        patch.setattr(socket.socket, "connect_ex", connects_quietly)
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, looks_up)
        yield seen

"""The words between the decoder and its child: a JSON header and a body of bytes, over a stream socket."""

import json
import socket
import struct
import time
from typing import Any

_LENGTHS = struct.Struct(">II")
_HEADER_MOST = 4096
Header = dict[str, Any]


def send(channel: socket.socket, header: Header, body: bytes = b"") -> None:
    """Write one message (blocking; the socket's own timeout holds for each of its two halves)."""
    text = json.dumps(header).encode()
    channel.sendall(_LENGTHS.pack(len(text), len(body)) + text)
    if body:
        channel.sendall(body)


def receive(channel: socket.socket, *, most: int, deadline: float | None = None) -> tuple[Header, bytes]:
    """Read one message with at most `most` bytes of body, until `deadline` (of `time.monotonic`).

    Raises `EOFError` at the other side's end, `TimeoutError` past the deadline, `ValueError` for anything malformed.
    """
    header_size, body_size = _LENGTHS.unpack(_exactly(channel, _LENGTHS.size, deadline))
    if header_size > _HEADER_MOST or body_size > most:
        raise ValueError("the message is larger than it may be")
    try:
        header = json.loads(_exactly(channel, header_size, deadline))
    except RecursionError as error:
        raise ValueError("the message is nested too deep") from error
    if not isinstance(header, dict):
        raise ValueError("the message has no header")
    return header, _exactly(channel, body_size, deadline)


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytes:
    content = bytearray(size)
    rest = memoryview(content)
    while rest:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            channel.settimeout(left)
        count = channel.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return bytes(content)

"""The words between decoder and child."""

import socket
import struct
import time

import pytest

from processors.decoding.wire import receive, send


def test_a_message_comes_back_as_it_was_sent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, {"pages": 3}, b"pixels")
        assert receive(theirs, most=6) == ({"pages": 3}, b"pixels")


def test_a_message_larger_than_it_may_be_is_not_even_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(struct.pack(">II", 2, 2**32 - 1))
        with pytest.raises(ValueError, match="larger"):
            receive(theirs, most=1000)


def test_a_trickle_of_bytes_does_not_move_the_deadline() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"\0")
        with pytest.raises(TimeoutError):
            receive(theirs, most=0, deadline=time.monotonic() + 0.05)


def test_an_end_in_the_middle_of_a_message_is_an_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(struct.pack(">II", 10, 0) + b"{")
        ours.close()
        with pytest.raises(EOFError):
            receive(theirs, most=0)


def test_a_header_nested_too_deep_is_malformed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(struct.pack(">II", 4000, 0) + b"[" * 4000)
        with pytest.raises(ValueError):  # noqa: PT011 its words differ by release of Python
            receive(theirs, most=0)

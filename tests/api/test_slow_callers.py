"""Callers who do not come to the point: 408 and a closed connection, and nobody else is harmed."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from api import middleware, slow_heads
from tests.api.raw import JSON, get, told
from tests.fakes import FakeBlobs, World
from tests.served import served

HEAD = b"POST /v1/jobs HTTP/1.1\r\nhost: a\r\nauthorization: Bearer demo-key\r\n"
FORM = b"content-type: multipart/form-data; boundary=b\r\n"
BODY = b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nwords enough\r\n--b--\r\n'
METADATA = b'--b\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n{"a": "' + b"x" * 500 + b'"}\r\n--b--\r\n'


@dataclass
class WatchedBlobs(FakeBlobs):
    deleted: list[str] = field(default_factory=list)

    async def delete(self, key: str) -> None:
        self.deleted.append(key)
        await super().delete(key)


@pytest.fixture
def blobs() -> WatchedBlobs:
    return WatchedBlobs()


@pytest.fixture
def world(blobs: WatchedBlobs) -> World:
    return World(blobs=blobs)


@pytest.fixture
def address(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(slow_heads, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(middleware, "_BODY_SECONDS", 0.4)
    monkeypatch.setattr(middleware, "_LINGER_SECONDS", 0.2)
    with served(world) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


def _connected(address: tuple[str, int]) -> "closing[socket.socket]":
    return closing(socket.create_connection(address, timeout=20))


def _rest(caller: socket.socket) -> bytes:
    """All that comes until the server closes."""
    answer = b""
    while piece := caller.recv(65536):
        answer += piece
    return answer


def _problem(answer: bytes) -> tuple[bytes, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], json.loads(body)


@pytest.mark.parametrize("begun", [b"P", b"GET /livez HTTP/1.1\r\n", HEAD])
def test_a_head_that_is_not_whole_in_time_is_408(address: tuple[str, int], begun: bytes) -> None:
    with _connected(address) as caller:
        caller.sendall(begun)
        line, problem = _problem(_rest(caller))
    assert line == b"HTTP/1.1 408 Request Timeout"
    assert (problem["code"], problem["type"]) == ("request_timeout", "/problems/request_timeout")


def test_a_head_that_comes_a_byte_at_a_time_has_one_clock(address: tuple[str, int]) -> None:
    with _connected(address) as caller:
        begun = time.monotonic()
        caller.settimeout(0.05)
        answer = b""
        while not answer:
            caller.sendall(b"G")
            try:
                answer = caller.recv(65536)
            except TimeoutError:
                assert time.monotonic() - begun < 20
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_connection_without_a_word_is_closed_without_one(address: tuple[str, int]) -> None:
    with _connected(address) as caller:
        assert _rest(caller) == b""


def test_the_second_request_of_a_connection_has_a_clock_of_its_own(address: tuple[str, int]) -> None:
    with _connected(address) as caller:
        caller.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n")
        first = b""
        while b"alive" not in first:
            first += caller.recv(65536)
        caller.sendall(b"GET /liv")
        assert first.startswith(b"HTTP/1.1 200 ")
        assert _rest(caller).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", BODY[:20], BODY[:-10]])
def test_a_body_that_stands_still_is_408_and_nothing_is_kept(
    world: World, address: tuple[str, int], sent: bytes
) -> None:
    with _connected(address) as caller:
        caller.sendall(HEAD + FORM + b"content-length: %d\r\n\r\n" % len(BODY) + sent)
        line, problem = _problem(_answer(caller))
    assert line.startswith(b"HTTP/1.1 408 ")
    assert (problem["code"], problem["retryable"]) == ("request_timeout", True)
    assert (world.blobs.kept, world.publisher.published) == ({}, [])


def _answer(caller: socket.socket, answer: bytes = b"") -> bytes:
    """One problem, or what is still to come of it; the connection may stay open."""
    while b"}" not in answer:
        piece = caller.recv(65536)
        assert piece, "closed without a word"
        answer += piece
    return answer


def _trickled(caller: socket.socket, body: bytes) -> bytes:
    """The answer to a body that comes a byte at a time, twenty a second: the least rate is five hundred."""
    caller.settimeout(0.05)
    for at in range(len(body)):
        caller.sendall(body[at : at + 1])
        try:
            answer = caller.recv(65536)
        except TimeoutError:
            continue
        caller.settimeout(20)
        return _answer(caller, answer)
    raise AssertionError("no answer before the whole body")


@pytest.mark.parametrize(
    ("first", "rest", "stored"),
    [
        (b"", BODY, 0),
        (BODY[:-20], BODY[-20:], 0),
        (BODY.removesuffix(b"--b--\r\n"), METADATA, 1),
    ],
    ids=["from its begin", "in the file", "behind the file"],
)
def test_a_body_that_comes_a_byte_at_a_time_is_408_and_nothing_is_kept(
    world: World, blobs: WatchedBlobs, address: tuple[str, int], first: bytes, rest: bytes, stored: int
) -> None:
    with _connected(address) as caller:
        caller.sendall(HEAD + FORM + b"content-length: %d\r\n\r\n" % len(first + rest) + first)
        line, problem = _problem(_trickled(caller, rest))
    assert line == b"HTTP/1.1 408 Request Timeout"
    assert (problem["code"], problem["retryable"]) == ("request_timeout", True)
    assert len(blobs.deleted) == stored, "what was stored already is deleted"
    assert (blobs.kept, world.publisher.published) == ({}, [])


@pytest.mark.parametrize("declared", [100, 10**19])
def test_a_body_shorter_than_its_declared_length_is_408_and_ends_the_connection(
    address: tuple[str, int], declared: int
) -> None:
    with _connected(address) as caller:
        caller.sendall(
            get(b"/v1/search", JSON, b"content-length: %d\r\n" % declared, method=b"POST") + b'{"query": "a"}'
        )
        assert told(_rest(caller)) == "408 request_timeout"


def test_a_body_longer_than_its_declared_length_is_no_second_request_and_ends_the_connection(
    address: tuple[str, int],
) -> None:
    head = get(b"/v1/search", JSON, b"content-length: 5\r\n", method=b"POST", closing=False)
    with _connected(address) as caller:
        caller.sendall(head + b'{"que')
        answer = _answer(caller)
        caller.sendall(b'ry": "a"}')
        assert told(answer + _rest(caller)) == "400 bad_request, 408 request_timeout"


def test_who_was_refused_holds_no_connection_by_going_on_a_byte_at_a_time(address: tuple[str, int]) -> None:
    with _connected(address) as caller:
        caller.sendall(b"POST /v1/jobs HTTP/1.1\r\nhost: a\r\n" + FORM + b"content-length: 1000000000\r\n\r\n")
        head, _, body = _trickled(caller, b"-" * 400).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in head
        assert body.endswith(b"}")
        caller.settimeout(0.05)
        for _ in range(400):
            try:
                caller.sendall(b"-")
                if not caller.recv(65536):
                    break
            except TimeoutError:
                continue
            except OSError:  # it was closed while a byte was on its way
                break
        else:
            raise AssertionError("the connection is still open")


def test_a_body_that_comes_slowly_and_steadily_is_taken(address: tuple[str, int]) -> None:
    big = BODY.replace(b"words enough", b"words enough " * 400)
    with _connected(address) as caller:
        caller.sendall(HEAD + FORM + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(big))
        begun = time.monotonic()
        for at in range(0, len(big), 500):  # five thousand bytes a second
            caller.sendall(big[at : at + 500])
            time.sleep(max(0.0, begun + at / 5000 - time.monotonic()))
        assert _rest(caller).startswith(b"HTTP/1.1 202 ")

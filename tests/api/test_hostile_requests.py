"""Requests that no client of good faith sends, byte by byte: each a 4xx with a problem or a closed connection, no more.

Of every one: no 5xx, the process is the same one, it goes on answering, and its memory does not grow with what it got.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

ROOT = Path(__file__).parents[2]
KEY = b"authorization: Bearer demo-key\r\n"
FORM = b"content-type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx\r\n'
MIB = 1024 * 1024


@dataclass(frozen=True)
class Server:
    port: int
    process: psutil.Process

    def ask(self, *pieces: bytes) -> bytes:
        """Send, and read until the server closes or has answered; what the server no longer reads is not sent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as caller:
            try:
                for piece in pieces:
                    caller.sendall(piece)
                caller.shutdown(socket.SHUT_WR)
            except OSError:  # it has heard enough
                pass
            answer = b""
            try:
                while piece := caller.recv(65536):
                    answer += piece
            except ConnectionResetError:
                pass
            return answer


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        argv = [sys.executable, "-m", "tests.api.serve", str(listener.fileno()), str(MIB)]
        child = subprocess.Popen(argv, cwd=ROOT, pass_fds=[listener.fileno()])
        port = int(listener.getsockname()[1])
        assert httpx2.get(f"http://127.0.0.1:{port}/livez", timeout=60, trust_env=False).status_code == 200
        yield Server(port, psutil.Process(child.pid))
        assert child.poll() is None, "the process ended"
        child.terminate()
        child.wait(10)


def _get(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" + KEY + b"".join(headers) + b"\r\n"


def _post(target: bytes, body: bytes, *headers: bytes) -> bytes:
    length = b"content-length: %d\r\n" % len(body)
    return _get(target, length, *headers, method=b"POST") + body


JSON = b"content-type: application/json\r\n"
SEARCH = b"/v1/search"
CASES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "negative length": (_get(b"/v1/search", b"content-length: -1\r\n", JSON, method=b"POST"), (400,)),
    "length of words": (_get(b"/v1/search", b"content-length: ten\r\n", JSON, method=b"POST"), (400,)),
    "two lengths": (
        _get(b"/v1/search", b"content-length: 2\r\ncontent-length: 3\r\n", JSON, method=b"POST") + b"{}x",
        (400,),
    ),
    "length and chunks": (
        _get(SEARCH, b"content-length: 4\r\ntransfer-encoding: chunked\r\n", JSON, method=b"POST") + b"0\r\n\r\n",
        (400, 422),
    ),
    "coding that is none": (_get(SEARCH, b"transfer-encoding: gzip, x\r\n", JSON, method=b"POST"), (400, 501)),
    "chunk size that is none": (
        _get(SEARCH, b"transfer-encoding: chunked\r\n", JSON, method=b"POST") + b"zz\r\n",
        (400,),
    ),
    "chunk of terabytes": (
        _get(SEARCH, b"transfer-encoding: chunked\r\n", JSON, method=b"POST") + b"fffffffffff\r\nx",
        (0, 400, 408),
    ),
    "body shorter than said": (_get(SEARCH, b"content-length: 100\r\n", JSON, method=b"POST") + b"{}", (0, 400, 408)),
    "query of 64 kB": (_get(b"/v1/jobs?document_id=" + b"x" * 65_000), (400, 414, 422, 431)),
    "query of a megabyte": (_get(b"/v1/jobs?a=" + b"x" * MIB), (400, 414, 431)),
    "ten thousand headers": (_get(b"/livez", *(b"x-%d: y\r\n" % number for number in range(10_000))), (400, 431)),
    "header of 64 kB": (_get(b"/livez", b"x: " + b"y" * 65_536 + b"\r\n"), (400, 431)),
    "wrong method": (_get(b"/v1/jobs", method=b"PUT"), (405,)),
    "method of its own": (_get(b"/v1/jobs", method=b"FROBNICATE"), (400, 405)),
    "trace": (_get(b"/v1/jobs", method=b"TRACE"), (405,)),
    "connect": (b"CONNECT example.com:443 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", (400, 404, 405)),
    "proxy request": (_get(b"http://example.com/v1/jobs"), (400, 404)),
    "no path": (_get(b"*", method=b"OPTIONS"), (400, 404, 405)),
    "no host": (b"GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n", (400,)),
    "old protocol": (b"GET /livez\r\n\r\n", (400,)),
    "new protocol": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 404, 505)),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n", (400,)),
    "dots": (_get(b"/v1/jobs/../../etc/passwd"), (404,)),
    "encoded dots": (_get(b"/v1/jobs/..%2f..%2fetc%2fpasswd"), (404,)),
    "nul in an id": (_get(b"/v1/jobs/job_%00"), (404,)),
    "bytes in an id": (_get(b"/v1/jobs/job_%ff%fe"), (404,)),
    "surrogates in an id": (_get(b"/v1/documents/%ed%a0%80"), (404, 422)),
    "nul in a filter": (_get(b"/v1/jobs?document_id=%00"), (422,)),
    "limit of a thousand million": (_get(b"/v1/jobs?limit=1000000000"), (422,)),
    "cursor of nobody": (_get(b"/v1/jobs?after=AAAA"), (200, 400)),
    "offset": (_post(SEARCH, b'{"query": "a", "offset": 1000000000}', JSON), (422,)),
    "tenant of another": (_post(SEARCH, b'{"query": "a", "tenant": "other"}', JSON), (422,)),
    "filter of another language": (_post(SEARCH, b'{"query": "a", "where": "{ path: [\\"tenant\\"] }"}', JSON), (422,)),
    "limit of a search": (_post(SEARCH, b'{"query": "a", "limit": 1000000000}', JSON), (422,)),
    "line break in a key": (_get(b"/v1/jobs", b"idempotency-key: a\r\n b\r\n"), (200, 400)),
    "two keys": (b"GET /v1/jobs HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" + KEY * 2 + b"\r\n", (200, 400, 401)),
    "type twice": (_post(b"/v1/jobs", b"", FORM, b"content-type: text/plain\r\n"), (400, 415)),
    "part head of a megabyte": (_post(b"/v1/jobs", b"--b\r\nContent-Disposition: " + b"x" * 900_000, FORM), (400, 413)),
    "a hundred thousand parts": (_post(b"/v1/jobs", PART % b"lane" * 15_000, FORM), (400, 413, 422)),
    "no end": (
        _post(b"/v1/jobs", b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nwords', FORM),
        (400,),
    ),
    "no boundary": (_post(b"/v1/jobs", b"--b--\r\n", b"content-type: multipart/form-data\r\n"), (400, 415)),
    "packed body": (_post(b"/v1/jobs", b"\x1f\x8b" + b"\x00" * 64, FORM, b"content-encoding: gzip\r\n"), (415,)),
    "packed json": (_post(SEARCH, b"\x1f\x8b" + b"\x00" * 64, JSON, b"content-encoding: br\r\n"), (400, 415, 422)),
}


@pytest.mark.parametrize("case", CASES)
def test_what_no_client_sends_is_refused_and_the_next_caller_served(server: Server, case: str) -> None:
    sent, statuses = CASES[case]
    before = server.process.memory_info().rss
    answer = server.ask(sent)
    status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0
    assert status in statuses, answer[:300]
    assert b"Traceback" not in answer
    alive = server.ask(b"GET /livez HTTP/1.1\r\nhost: a.\r\nconnection: close\r\n\r\n")
    assert alive.startswith(b"HTTP/1.1 200"), "a host with a dot at its end is a host"
    assert server.process.memory_info().rss - before < 16 * MIB


def test_two_requests_on_one_connection_are_two_and_a_third_hidden_in_a_body_is_none(server: Server) -> None:
    body = b'{"query": "a"}' + b" " * 200
    hidden = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"
    smuggled = _get(SEARCH, b"content-length: %d\r\n" % (len(body) + len(hidden)), JSON, method=b"POST")
    answer = server.ask(smuggled.replace(b"connection: close\r\n", b"") + body + hidden + _get(b"/livez"))
    assert answer.count(b"HTTP/1.1 ") == 2

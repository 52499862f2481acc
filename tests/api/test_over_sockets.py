"""The API behind a real server: memory while a large upload streams in, and answers that arrive in spite of one."""

import asyncio
import hashlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from api import main

ROOT = Path(__file__).parents[2]
LIMIT = 64 * 1024 * 1024
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """The URL and process id of a served API; the socket listens before the child is there, so no one has to wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        argv = [sys.executable, "-m", "tests.api.serve", str(listener.fileno()), str(LIMIT)]
        child = subprocess.Popen(argv, cwd=ROOT, pass_fds=[listener.fileno()])
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", child.pid
        child.terminate()
        child.wait(10)


class Made:
    """A file that is made while it is read: `head`, then zeros; hashed and measured against `pid` on its way."""

    def __init__(self, head: bytes, size: int, pid: int) -> None:
        self._head = head
        self._left = size
        self._process = psutil.Process(pid)
        self.peak = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        self.peak = max(self.peak, self._process.memory_info().rss)
        block, self._head = (self._head + bytes(max(0, size)))[: min(size, self._left)], b""
        self._left -= len(block)
        self.sha256.update(block)
        return block


def submit(url: str, file: Made) -> httpx2.Response:
    headers = {"authorization": "Bearer demo-key"}
    with httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        return client.post("/v1/jobs", files={"file": ("a.pdf", file)})  # type: ignore[dict-item]


def test_a_60_mb_upload_streams_through_in_bounded_memory(server: tuple[str, int]) -> None:
    url, pid = server
    submit(url, Made(b"%PDF-1.7", 2 * MIB, pid))  # imports, buffers and the like are not the upload's
    before = psutil.Process(pid).memory_info().rss
    file = Made(b"%PDF-1.7", 60 * MIB, pid)
    response = submit(url, file)
    assert response.status_code == 202, response.text
    assert (response.json()["size"], response.json()["sha256"]) == (60 * MIB, file.sha256.hexdigest())
    assert file.peak > 0
    assert file.peak - before < 16 * MIB


def test_a_flood_of_refused_submissions_costs_no_memory(server: tuple[str, int]) -> None:
    url, pid = server
    process = psutil.Process(pid)

    def flood(count: int) -> None:
        with httpx2.Client(base_url=url, headers={"authorization": "Bearer other-key"}, trust_env=False) as client:
            for number in range(count):
                files = {"file": ("a.pdf", b"%PDF-1.7" + bytes(MIB if number % 100 == 0 else 1000))}
                answer = client.post("/v1/jobs", files=files)
                assert (answer.status_code, answer.json()["code"]) == (429, "too_many_pages_waiting")
                assert 60 <= int(answer.headers["retry-after"]) <= 73

    flood(200)  # imports and the like are not the flood's
    before = process.memory_info().rss
    flood(2000)
    assert process.memory_info().rss - before < 4 * MIB


def test_a_large_upload_is_refused_before_a_byte_of_it_was_sent(server: tuple[str, int]) -> None:
    url, _ = server
    with connected(url) as caller:
        caller.sendall(request_head(60 * MIB, key="other-key"))
        answer = caller.recv(65536)
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: " in answer.lower()


@pytest.mark.parametrize(
    ("head", "size", "status"),
    [(b"MZ\x90\x00", 30 * MIB, b"HTTP/1.1 415 "), (b"%PDF-1.7", 80 * MIB, b"HTTP/1.1 413 ")],
)
def test_a_refused_upload_gets_its_answer_although_the_caller_reads_only_after_sending(
    server: tuple[str, int], head: bytes, size: int, status: bytes
) -> None:
    url, _ = server
    with connected(url) as caller:
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + head
        caller.sendall(request_head(len(part) + size) + part)
        for _ in range(size // MIB):
            caller.sendall(bytes(MIB))
        assert caller.recv(65536).startswith(status)
    assert httpx2.get(f"{url}/livez", trust_env=False).status_code == 200


def test_a_caller_that_goes_away_in_the_middle_harms_nobody(server: tuple[str, int]) -> None:
    url, _ = server
    with connected(url) as caller:
        part = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n%PDF-1.7 '
        caller.sendall(request_head(100_000) + part + b"x" * 5000)
    assert httpx2.get(f"{url}/livez", trust_env=False).status_code == 200


def connected(url: str) -> socket.socket:
    address = httpx2.URL(url)
    return socket.create_connection((address.host, address.port or 0), timeout=20)


def request_head(length: int, key: str = "demo-key") -> bytes:
    lines = (
        "POST /v1/jobs HTTP/1.1",
        "Host: x",
        "Connection: close",  # without it, the server takes in the rest by itself
        f"Authorization: Bearer {key}",
        f"Content-Length: {length}",
        "Content-Type: multipart/form-data; boundary=b",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("inherited", [False, True])
async def test_an_answer_does_not_wait_for_an_acknowledgement(inherited: bool) -> None:
    """Nagle's algorithm held an answer's body back for 40 ms where asyncio did not know the socket for TCP."""
    mine = main._listen("127.0.0.1", 0)
    with mine, socket.create_server(("127.0.0.1", 0)) as other:
        listener = socket.socket(fileno=other.detach()) if inherited else mine
        accepted = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda _, writer: accepted.set_result(writer), sock=listener)
        _, caller = await asyncio.open_connection(*listener.getsockname())
        writer = await accepted
        assert writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for end in (writer, caller):
            end.close()
            await end.wait_closed()
        server.close()
        await server.wait_closed()

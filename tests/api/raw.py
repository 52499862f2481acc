"""HTTP byte by byte, as no client library sends it, and what came back in few words."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil

from tests.fakes import World
from tests.served import served

ROOT = Path(__file__).parents[2]
KEY = b"authorization: Bearer demo-key\r\n"
CLOSE = b"connection: close\r\n"
FORM = b"content-type: multipart/form-data; boundary=b\r\n"
JSON = b"content-type: application/json\r\n"
MIB = 1024 * 1024


def get(target: bytes, *headers: bytes, method: bytes = b"GET", host: bytes = b"a", closing: bool = True) -> bytes:
    """A request without a body, with a key, after which the connection ends unless `closing` is false."""
    always = b"host: " + host + b"\r\n" + (CLOSE if closing else b"") + KEY
    return method + b" " + target + b" HTTP/1.1\r\n" + always + b"".join(headers) + b"\r\n"


def post(target: bytes, body: bytes, *headers: bytes) -> bytes:
    return get(target, b"content-length: %d\r\n" % len(body), *headers, method=b"POST") + body


def part(name: bytes, content: bytes, filename: bytes | None = None) -> bytes:
    """One field of a form, its names as they are."""
    named = b"" if filename is None else b'; filename="' + filename + b'"'
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + named + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def told(answer: bytes) -> str:
    """Each answer's status and, of a problem, its code: `404 not_found, 400`; empty where no word was said."""
    heads = [each.partition(b"\r\n\r\n") for each in answer.split(b"HTTP/1.1 ")[1:]]
    return ", ".join(f"{head[:3].decode()} {_code(head, body)}".strip() for head, _, body in heads)


def _code(head: bytes, body: bytes) -> str:
    return str(json.loads(body)["code"]) if b"application/problem+json" in head else ""


def said(address: tuple[str, int], *pieces: bytes, ending: bool = False) -> bytes:
    """Send, and read until the server closes; `ending` says that nothing follows, as a caller does who goes away.

    A server that closes a caller's connection has its answer lost while it works in a thread, so others wait for it.
    """
    answer = b""
    with socket.create_connection(address, timeout=30) as caller:
        try:
            for piece in pieces:
                caller.sendall(piece)
            if ending:
                caller.shutdown(socket.SHUT_WR)
        except OSError:  # it has heard enough
            pass
        try:
            while piece := caller.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return answer


@dataclass(frozen=True)
class Site:
    """The API over fakes in a thread of this process."""

    world: World
    address: tuple[str, int]

    def ask(self, *pieces: bytes, ending: bool = False) -> bytes:
        return said(self.address, *pieces, ending=ending)

    def lives(self) -> bool:
        return told(self.ask(get(b"/livez"))) == "200"


@contextmanager
def open_site() -> Iterator[Site]:
    """It takes uploads of a megabyte, as the fakes do."""
    world = World()
    with served(world) as url:
        parts = urlsplit(url)
        yield Site(world, (str(parts.hostname), int(parts.port or 0)))


@dataclass(frozen=True)
class Server:
    """The API over fakes in a process of its own."""

    port: int
    process: psutil.Process

    def ask(self, *pieces: bytes, ending: bool = False) -> bytes:
        return said(("127.0.0.1", self.port), *pieces, ending=ending)

    def lives(self) -> bool:
        """Whether it is the process that it was, and answers."""
        return self.process.is_running() and told(self.ask(get(b"/livez"))) == "200"


@contextmanager
def running() -> Iterator[Server]:
    """The API in a process of its own, which takes uploads of a megabyte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        argv = [sys.executable, "-m", "tests.api.serve", str(listener.fileno()), str(MIB)]
        child = subprocess.Popen(argv, cwd=ROOT, pass_fds=[listener.fileno()])
        try:
            port = int(listener.getsockname()[1])
            assert httpx2.get(f"http://127.0.0.1:{port}/livez", timeout=60, trust_env=False).status_code == 200
            yield Server(port, psutil.Process(child.pid))
            assert child.poll() is None, "the process ended"
        finally:
            child.terminate()
            child.wait(10)

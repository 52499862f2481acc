"""API processes as they are deployed: on one shared socket, each with a port of its own."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from deploy.local import ports
from tests.support import until

ROOT = Path(__file__).parents[2]
KEY = {"authorization": "Bearer k"}


@contextmanager
def apis(folder: Path, log: str, database: str, count: int = 1, killed: int = 0) -> Iterator[list[str]]:
    """`count` API processes on one shared socket; yields its URL, then each process's own.

    The first `killed` of them are killed meanwhile. What each says is in `folder`, as `api-NUMBER.log`.
    """
    owned = ports.free(count)
    logs = [folder / f"api-{number + 1}.log" for number in range(count)]
    environment = os.environ | {
        "HEADRACE_KAFKA": log,
        "HEADRACE_POSTGRES": database,
        "HEADRACE_BLOBS": (folder / "blobs").as_uri(),
        "HEADRACE_ENGINES": "fake",
        "HEADRACE_ID_KEYS": '{"1": "secret"}',
        "HEADRACE_API_KEYS": json.dumps({hashlib.sha256(b"k").hexdigest(): "demo"}),
        "HEADRACE_RUN_DIR": str(folder),
        "HEADRACE_PUBLISH_SECONDS": "2",
    }
    with socket.create_server(("127.0.0.1", 0)) as shared:
        children = [
            _started(shared.fileno(), port, environment | {"HEADRACE_SLOT": f"api-{number + 1}"}, logs[number])
            for number, port in enumerate(owned)
        ]
        try:
            marks = [folder / f"api-{number + 1}.ready" for number in range(count)]

            def up() -> bool:
                assert all(child.poll() is None for child in children)
                return all(mark.exists() for mark in marks)

            until(up, 30, "the API up")
            assert [json.loads(mark.read_text())["pid"] for mark in marks] == [child.pid for child in children]
            yield [f"http://127.0.0.1:{port}" for port in (shared.getsockname()[1], *owned)]
        finally:
            for child in children:
                child.terminate()
            codes = [child.wait(20) for child in children]
            sys.stdout.write("".join(log.read_text() for log in logs))  # pytest shows it where a test fails
    assert codes == [-signal.SIGKILL] * killed + [-signal.SIGTERM] * (count - killed)


def _started(shared: int, port: int, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "api.main", "--fd", str(shared), "--own-port", str(port)],
            cwd=ROOT,
            env=environment,
            pass_fds=[shared],
            stdout=output,
            stderr=output,
        )


def ask(method: str, url: str, **body: object) -> httpx2.Response:
    return httpx2.request(method, url, headers=KEY, timeout=30, trust_env=False, **body)  # type: ignore[arg-type]  # passed through

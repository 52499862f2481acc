"""What a worker answers on its port before it works, and after."""

import socket
import threading

import httpx2
import pytest

from processors import telemetry
from schemas.settings import Settings


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(telemetry, "READY", threading.Event())
    return f"http://127.0.0.1:{telemetry.serve(0).server_port}"  # it ends with the process, as a worker's does


def _status(url: str) -> int:
    return httpx2.get(url, timeout=5, trust_env=False).status_code


def test_a_worker_is_alive_at_once_and_ready_when_it_works(url: str) -> None:
    assert (_status(f"{url}/livez"), _status(f"{url}/readyz")) == (200, 503)
    telemetry.READY.set()
    assert (_status(f"{url}/livez"), _status(f"{url}/readyz")) == (200, 200)


def test_it_tells_its_release_and_what_it_takes(url: str) -> None:
    told = httpx2.get(f"{url}/metrics", timeout=5, trust_env=False).text
    assert 'headrace_build_info{version="' in told
    assert "process_resident_memory_bytes" in told


def test_a_port_that_is_taken_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"HEADRACE_METRICS_PORT={port} of 127.0.0.1"):
            telemetry.serve(port)


def test_a_slot_may_name_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "c0ffee")
    assert Settings(slot="ocr-{hostname}").slot == "ocr-c0ffee"
    assert Settings(slot="ocr-1").slot == "ocr-1"

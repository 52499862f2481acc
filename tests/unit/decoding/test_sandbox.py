"""What the decoding child cannot do."""

import dataclasses
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from processors.decoding.decoder import Decoder
from processors.decoding.limits import Limits
from schemas.media import PNG
from schemas.settings import Settings
from tests.unit.decoding.documents import drawing, saved

LIMITS = Limits(seconds=20, seconds_per_page=5, memory=2 * 1024**3, pixels=50_000_000, pages=20)


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(LIMITS)
    yield made
    made.close()


def test_the_child_holds_none_of_our_secrets(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_POSTGRES", "postgresql://someone:secret@host/db")
    environment = Path(f"/proc/{decoder.start().pid}/environ").read_bytes()
    assert b"HEADRACE" not in environment


def test_the_child_is_bound(decoder: Decoder) -> None:
    limits = Path(f"/proc/{decoder.start().pid}/limits").read_text()
    bounds = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert bounds["Max address space"] == str(LIMITS.memory)
    assert bounds["Max file size"] == "0"
    assert bounds["Max core file size"] == "0"
    assert int(bounds["Max open files"]) <= 64


def test_even_a_stopped_child_ends_with_its_parent() -> None:
    code = (
        "import os, signal, time; from processors.decoding.process import Child; "
        f"from processors.decoding.limits import Limits; child = Child({LIMITS!r}); "
        "os.kill(child.pid, signal.SIGSTOP); print(child.pid, flush=True); input()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    status = Path(f"/proc/{int(parent.stdout.readline())}/stat")
    assert running(status)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while running(status):
        assert time.monotonic() < deadline


def running(status: Path) -> bool:
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_childs_cpu_seconds_are_those_of_its_document(decoder: Decoder) -> None:
    list(decoder.pages(saved(drawing(), "PNG"), PNG, 150))
    limits = Path(f"/proc/{decoder.start().pid}/limits").read_text()
    (seconds,) = [int(line.split()[3]) for line in limits.splitlines() if line.startswith("Max cpu time")]
    assert 25 <= seconds <= 27


def test_the_child_has_a_network_of_its_own_with_nothing_in_it_or_says_that_it_has_not(decoder: Decoder) -> None:
    child = decoder.start()
    theirs, ours = (Path(f"/proc/{process}/ns/net").readlink() for process in (child.pid, "self"))
    assert child.offline == (theirs != ours)
    if child.offline:
        links = Path(f"/proc/{child.pid}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in links] == ["lo"]


def test_every_cap_is_a_setting() -> None:
    caps = {
        "decode_seconds": 1, "decode_seconds_per_page": 2, "decode_memory": 3, "max_pixels": 4, "max_pages": 5,
        "max_ratio": 6, "max_pixels_in_all": 7, "max_characters": 8, "max_entries": 9, "max_unpacked": 10,
        "max_unpack_ratio": 11,
    }  # fmt: skip
    assert dataclasses.astuple(Limits.of(Settings.model_validate(caps))) == tuple(caps.values())


def test_a_confined_process_reaches_no_port_of_ours() -> None:
    code = (
        "import os, socket, sys\n"
        "from processors.decoding.limits import Limits\n"
        "def reached():\n"
        "    with socket.socket() as dialled:\n"
        "        return dialled.connect_ex(('127.0.0.1', int(sys.argv[1]))) == 0\n"
        "before = reached()\n"
        f"offline = {LIMITS!r}.confine(os.getppid())\n"
        "print(before, offline, reached())\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        answer = subprocess.run([sys.executable, "-c", code, port], capture_output=True, text=True, check=True).stdout
    before, offline, after = answer.split()
    assert before == "True"
    assert after == str(offline == "False"), "cut off where the kernel allows it, and said truly where not"


def test_the_child_can_gain_no_privileges_and_has_none(decoder: Decoder) -> None:
    status = Path(f"/proc/{decoder.start().pid}/status").read_text()
    words = dict(line.split(":", 1) for line in status.splitlines())
    assert words["NoNewPrivs"].strip() == "1"
    assert int(words["CapEff"], 16) == int(words["CapPrm"], 16) == 0


def test_what_the_child_would_say_of_a_document_reaches_no_log(decoder: Decoder) -> None:
    assert Path(f"/proc/{decoder.start().pid}/fd/2").readlink() == Path("/dev/null")

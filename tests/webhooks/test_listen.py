"""`headrace webhooks listen` as a process: what it answers, what it prints of it, and how it ends."""

import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from cli.errors import CliError, Exit
from sinks.webhooks.signing import Signer
from tests.cli.invoking import failure, run

SIGNER = Signer({1: b"a secret of this server"})
SECRET, PUBLIC = SIGNER.secret("we_a", 1, 1), SIGNER.public_key("we_a", 1, 1)


class Listener:
    """The process, and a client that stays connected to it."""

    def __init__(self, *words: object, stdout: int = subprocess.PIPE, **environment: str) -> None:
        command = [sys.executable, "-m", "cli.main", "webhooks", "listen", "--port", "0", *map(str, words)]
        self.process = subprocess.Popen(
            command, stdout=stdout, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        assert self.process.stderr is not None
        self.hint = self.process.stderr.readline()
        self.url = self.hint.split(" ")[2]
        options = {"trust_env": False, "verify": False, "timeout": 20}  # certificates take long to load
        self.client = httpx2.Client(base_url=self.url, **options)

    def line(self) -> str:
        """The next line of stdout."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def cells(self) -> list[str]:
        return self.line().rstrip("\n").split("\t")

    def send(self, body: bytes, message: str = "msg_1", **changed: str) -> httpx2.Response:
        """Deliver `body`, signed now; `changed` are headers made otherwise, with `_` for `-`."""
        headers = SIGNER.headers("we_a", [(1, 1)], message, datetime.now(UTC), body)
        return self.client.post(
            "", content=body, headers={**headers, **{k.replace("_", "-"): changed[k] for k in changed}}
        )

    def end(self) -> tuple[str, str]:
        """Ctrl-C: what else was printed to stdout and stderr. Not by `communicate`, which loses what is buffered."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == Exit.INTERRUPTED
        out, err = (told.read() if told else "" for told in (self.process.stdout, self.process.stderr))
        return out, err


@contextmanager
def listening(*words: object, **options: Any) -> Iterator[Listener]:
    listener = Listener(*words, **options)
    try:
        with listener.client:
            yield listener
    finally:
        if listener.process.poll() is None:
            listener.process.kill()
        listener.process.communicate()


def _event(kind: str = "job.succeeded", **data: object) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-01-01T00:00:00Z", "data": data}).encode()


def test_each_delivery_is_checked_answered_and_told_in_a_line() -> None:
    with listening("--secret", SECRET) as listener:
        assert f"register {listener.url} as" in listener.hint
        good = listener.send(_event(job="job_1", pages=[1, 2], count=3, done=True, note=None, error={"code": "x"}))
        assert (good.status_code, good.content, good.headers.get("content-length")) == (204, b"", None)
        assert "content-type" not in good.headers
        time_, *cells = listener.cells()
        assert datetime.fromisoformat(time_).tzinfo is not None
        assert cells == ["job.succeeded", "msg_1", "verified", "job=job_1 pages[2] count=3 done=true error=x"]

        forged = {"webhook_signature": f"v1,{'A' * 43}="}
        assert [listener.send(_event(), "msg_2", **forged).status_code, listener.cells()[2:]] == [
            401, ["msg_2", "unverified: the header webhook-signature holds no v1 signature that fits", ""],
        ]  # fmt: skip
        assert listener.send(_event(), webhook_timestamp=str(int(time.time()) - 400)).status_code == 401
        assert listener.cells()[3].startswith("unverified: the header webhook-timestamp is 40")
        bare = listener.client.post("", content=_event())
        assert (bare.status_code, listener.cells()[2]) == (401, "-")
        assert listener.end() == ("", "")


def test_verifications_of_an_endpoint_are_answered_unless_forged() -> None:
    challenge = _event("endpoint.verification", endpoint="we_a", code="ä 123")
    with listening("--status", 503, HEADRACE_WEBHOOK_SECRET=SECRET) as listener:
        answer = listener.send(challenge)
        assert (answer.status_code, answer.json()) == (200, {"code": "ä 123"})
        assert answer.headers["content-type"] == "application/json"
        assert listener.cells()[1:] == ["endpoint.verification", "msg_1", "verified", "endpoint=we_a code=ä 123"]
        forged = listener.send(challenge, webhook_id="msg_2")
        assert (forged.status_code, forged.content) == (401, b"")
        for strange in (_event("endpoint.verification", code=1), _event("endpoint.verification"), _event(code="123")):
            assert listener.send(strange).status_code == 503
    with listening() as listener:
        assert listener.send(challenge).json() == {"code": "ä 123"}


def test_programs_get_an_object_a_line() -> None:
    with listening("--public-key", PUBLIC, "--json") as listener:
        body = _event(job="job_1", name="\x1b[2J\ud800")
        assert listener.send(body).status_code == 204
        told = json.loads(listener.line())
        assert set(told) == {"at", "id", "timestamp", "verified", "reason", "event"}
        assert (told["id"], told["verified"], told["reason"]) == ("msg_1", True, None)
        assert abs(int(told["timestamp"]) - time.time()) < 60
        assert told["event"] == json.loads(body)
        listener.send(b"no json \xff", webhook_id="msg_2")
        told = json.loads(listener.line())
        assert (told["id"], told["verified"], told["event"]) == ("msg_2", False, "no json \ufffd")
        assert "no v1a signature" in told["reason"]
        how = set()
        for depth in (9, *range(900, 1000, 5), 100_000):  # between can lie what can be read, but not written again
            assert listener.send(b"[" * depth + b"]" * depth).status_code == 204
            how.add(re.sub(r"[\[\]]+", "[]", listener.line().partition('"reason": ')[2]))
        assert how == {'null, "event": []}\n', 'null, "event": "[]"}\n'}


def test_beside_a_secret_a_public_key_must_fit_as_well() -> None:
    with listening("--secret", SECRET, "--public-key", PUBLIC) as listener:
        body = _event()
        signed = SIGNER.headers("we_a", [(1, 1)], "msg_1", int(time.time()), body)
        assert listener.client.post("", content=body, headers=signed).status_code == 204
        for entry in signed["webhook-signature"].split(" "):
            half = {**signed, "webhook-signature": entry}
            assert listener.client.post("", content=body, headers=half).status_code == 401


def test_without_a_secret_everything_is_taken_and_said_to_be_unverified() -> None:
    with listening("--status", 202, HEADRACE_WEBHOOK_SECRET="") as listener:
        answer = listener.client.post("any/path?x=1", content=b"[1, 2]")
        assert (answer.status_code, answer.headers["content-length"]) == (202, "0")
        assert listener.cells()[1:] == ["-", "-", "unverified: no secret was given", "[1, 2]"]
        for data, summary in (([1, 2], "data[2]"), ("x", "data=x"), (None, "")):
            listener.client.post("", content=json.dumps({"type": "a.b", "data": data}).encode())
            assert listener.cells()[1::3] == ["a.b", summary]
        out, err = listener.end()
        assert (out, "HEADRACE_WEBHOOK_SECRET" in err) == ("", True)


def test_what_a_sender_writes_moves_no_cursor() -> None:
    with listening() as listener:
        body = _event("a\tb\x1b[2J\u202e", **{"na\x9bme": "x\r\ny" + "z" * 100, "long": {"code": "\x1b"}})
        listener.send(body, webhook_id="msg\x1b_\t1")
        _, kind, message, _, summary = listener.cells()
        assert (kind, message) == ("a b [2J ", "msg _ 1")
        assert summary.startswith("na me=x yzzz")
        assert summary.endswith("z… long= ")
        assert _raw(listener, b"A\x7f\x1b / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 501")
        _, err = listener.end()
        assert ("Unsupported method" in err, {"\x7f", "\x1b"} & set(err)) == (True, set())


def test_one_path_alone_is_taken_when_it_is_named() -> None:
    with listening("--path", "/hooks") as listener:
        assert listener.url.endswith("/hooks")
        at = listener.url.removesuffix("/hooks")
        assert listener.client.post(f"{at}/hooks?x=1", content=b"{}").status_code == 204
        assert listener.client.post(f"{at}/other", content=b"{}").status_code == 404
        assert listener.client.get(f"{at}/hooks").status_code == 501
        out, err = listener.end()
        assert (out.count("\n"), "code 404" in err, "code 501" in err) == (1, True, True)


def test_bodies_have_a_largest_size_and_must_tell_it() -> None:
    with listening() as listener:
        largest = b"x" * (1 << 20)
        assert listener.client.post("", content=largest).status_code == 204
        assert listener.cells()[4] == "x" * 59 + "…"
        assert listener.client.post("", content=largest + b"x").status_code == 413
        told = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (8 << 20)
        assert _raw(listener, told + bytes(8 << 20)).startswith(b"HTTP/1.1 413")
        assert listener.client.post("", content=iter([b"x"])).status_code == 411
        for size in ("-1", "1e3", "9" * 5000):
            assert _raw(listener, f"POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode()).startswith(
                b"HTTP/1.1 411"
            )
        assert _raw(listener, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort") == b""
        assert listener.client.post("", content=b"the next one").status_code == 204
        assert listener.cells()[4] == "the next one"
        assert "Traceback" not in listener.end()[1]


def _raw(listener: Listener, request: bytes) -> bytes:
    """All that is answered to these bytes, after which nothing follows."""
    url = httpx2.URL(listener.url)
    with socket.create_connection((url.host, url.port or 0), 20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_sender_that_breaks_off_is_nothing_to_speak_of() -> None:
    with listening() as listener:
        url = httpx2.URL(listener.url)
        with socket.create_connection((url.host, url.port or 0), 20) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed by a reset
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
        assert listener.client.post("", content=b"{}").status_code == 204
        listener.cells()
        out, err = listener.end()
        assert (out, err.count("\n")) == ("", 1), err


def test_many_come_over_one_connection_and_over_many_at_once() -> None:
    with listening("--secret", SECRET) as listener:
        for number in range(20):
            listener.send(_event(), f"msg_{number}")
            assert listener.cells()[2] == f"msg_{number}"
        with httpx2.Client(trust_env=False, verify=False) as other:
            assert other.post(listener.url, content=b"").status_code == 401
        assert listener.cells()[2] == "-"


def test_a_terminal_gets_local_times_and_lines_that_fit() -> None:
    ours, theirs = pty.openpty()
    with listening(stdout=theirs, COLUMNS="60", TZ="UTC") as listener, os.fdopen(ours) as shown:
        os.close(theirs)
        listener.send(_event(job="job_" + "1" * 80))
        line = shown.readline()
        assert (len(line.rstrip("\n")), line[8:28]) == (60, "  job.succeeded  msg")
        listener.end()


def _refused(*words: str) -> CliError:
    return failure(run("webhooks", "listen", *words))


@pytest.mark.parametrize("option", ["--secret", "--public-key"])
def test_what_is_no_secret_is_a_usage_error_that_does_not_repeat_it(option: str) -> None:
    error = _refused(option, "whsk_bm8gcHVibGljIGtleQ==")
    assert (error.code, "neither a secret" in str(error), "bm8gcH" in str(error)) == (Exit.USAGE, True, False)


def test_an_address_that_cannot_be_had_is_a_usage_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = _refused("--port", port)
        assert (error.code, port in str(error), "--port" in error.hint) == (Exit.USAGE, True, True)
    assert _refused("--host", "no.such.host.invalid").code == Exit.USAGE

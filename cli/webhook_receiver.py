"""The receiver behind `headrace webhooks listen`: takes deliveries over HTTP, checks and answers them."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

from cli.errors import CliError, Exit
from cli.output import note, plain
from sinks.webhooks.signing import SignatureRefused, Verifier

_MOST_BYTES = 1 << 20
_DRAINED_BYTES = 16 << 20
_WITHOUT_LENGTH = (204, 304)  # RFC 9110, 8.6
_SIZE = re.compile("[0-9]{1,12}")


@dataclass(frozen=True)
class Delivery:
    """What came: `refusal` says why it is not verified, None where it is. Names of `headers` are in lower case."""

    at: datetime
    headers: Mapping[str, str]
    body: bytes
    refusal: str | None

    def event(self) -> Any:
        """The body as JSON, or as text where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return self.text()

    def text(self) -> str:
        """The body as text, with marks for bytes that are none."""
        return self.body.decode("utf-8", "replace")


class Desk:
    """Where deliveries are checked and answered, in any thread; `told` holds them for the one that prints.

    Each of `verifiers` must find its signature; without any all is taken, as not verified. A good delivery is answered
    with `status`.
    """

    def __init__(self, verifiers: Sequence[Verifier], status: int) -> None:
        self.verifiers = verifiers
        self.told = SimpleQueue[Delivery]()
        self._status = status

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The status and the JSON to answer with; names of `headers` are in lower case."""
        delivery = Delivery(datetime.now(UTC), headers, body, self._refusal(headers, body))
        self.told.put(delivery)
        if self.verifiers and delivery.refusal is not None:
            return 401, b""
        match delivery.event():
            case {"type": "endpoint.verification", "data": {"code": str(code)}}:
                return 200, json.dumps({"code": code}).encode()
        return self._status, b""

    def _refusal(self, headers: Mapping[str, str], body: bytes) -> str | None:
        if not self.verifiers:
            return "no secret was given"
        try:
            for verifier in self.verifiers:
                verifier.verify(headers, body, now=time.time())
        except SignatureRefused as refused:
            return str(refused)
        return None


@contextmanager
def receiving(host: str, port: int, path: str | None, desk: Desk) -> Iterator[str]:
    """Serve in threads, at `path` alone where one is given; the URL to deliver to. Raises `CliError` where none can."""
    try:
        server = ThreadingHTTPServer((host, port), partial(_Request, desk, path))
    except OSError as error:
        raise CliError(f"{plain(host)}:{port}: {error.strerror}", Exit.USAGE, "choose --host and --port") from error
    with server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        try:
            yield f"http://{host}:{server.server_address[1]}{path or '/'}"
        finally:
            server.shutdown()


class _Request(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "headrace", ""
    error_message_format, error_content_type = "%(message)s\n", "text/plain"
    disable_nagle_algorithm = True

    def __init__(self, desk: Desk, wanted: str | None, *connection: Any) -> None:
        self._desk, self._wanted = desk, wanted
        super().__init__(*connection)  # which handles the connection to its end

    def handle(self) -> None:
        with suppress(ConnectionError):  # who left gets no answer, and a traceback would help nobody
            super().handle()

    def do_POST(self) -> None:
        told = self.headers.get("Content-Length", "")
        if not _SIZE.fullmatch(told) or "Transfer-Encoding" in self.headers:
            self.send_error(411)
            return
        if (size := int(told)) > _MOST_BYTES:
            self._drain(size)
            self.send_error(413)
            return
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
        elif self._wanted is not None and self.path.partition("?")[0] != self._wanted:
            self.send_error(404)
        else:
            self._answer(*self._desk.take({name.lower(): value for name, value in self.headers.items()}, body))

    def _drain(self, size: int) -> None:
        """Read on, within reason: whoever still writes when the connection is closed may never see the answer."""
        left = min(size, _DRAINED_BYTES)
        while left > 0 and (chunk := self.rfile.read(min(left, 1 << 16))):
            left -= len(chunk)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        if status not in _WITHOUT_LENGTH:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Deliveries are printed as such."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that its base calls
        note(plain(f"{self.address_string()}: {format % args}"))

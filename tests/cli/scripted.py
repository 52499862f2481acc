"""A server that tells a job's story as its script says: it breaks off, stays silent, refuses, goes away."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.jobs import JobEvent, JobEventKind

Answer = Callable[[http.server.BaseHTTPRequestHandler, int], None]
"""What is done with a request for events after that number."""


@dataclass
class Script:
    """The answers to come, the last of them for ever; `asked` are the numbers that callers have gone on from."""

    answers: list[Answer]
    asked: list[int] = field(default_factory=list)

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def event(seq: int, kind: JobEventKind = "page.read") -> JobEvent:
    return JobEvent(seq=seq, event=kind, run=1, page=seq, at=datetime(2026, 5, 1, tzinfo=UTC))


def begin(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.end_headers()


def lines(told: JobEvent) -> bytes:
    return f"id: {told.seq}\nevent: {told.event}\ndata: {told.model_dump_json()}\n\n".encode()


def tells(*events: JobEvent, then: bytes = b"") -> Answer:
    """These events (whatever was asked for), some last bytes, and the connection breaks off."""

    def answer(handler: http.server.BaseHTTPRequestHandler, _after: int) -> None:
        begin(handler)
        handler.wfile.write(b"retry: 1000\n\n" + b"".join(map(lines, events)) + then)

    return answer


def refuses(status: int, code: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler, _after: int) -> None:
        body = json.dumps({"detail": "no", "code": code, "request_id": "req_1"}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/problem+json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def nothing_follows(handler: http.server.BaseHTTPRequestHandler, _after: int) -> None:
    handler.send_response(204)
    handler.end_headers()


def heartbeats(handler: http.server.BaseHTTPRequestHandler, _after: int) -> None:
    """Comments without end."""
    begin(handler)
    while True:
        try:
            handler.wfile.write(b": nothing new\n\n")
        except OSError:
            return
        threading.Event().wait(0.02)


@contextmanager
def scripted(script: Script, port: int = 0) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            after = int(self.headers.get("Last-Event-ID", 0))
            script.asked.append(after)
            script.next()(self, after)

        def log_message(self, *_: object) -> None:
            return

    http.server.ThreadingHTTPServer.allow_reuse_address = True
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

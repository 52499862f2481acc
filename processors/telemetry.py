"""What a worker measures, and the port where it can be read."""

import threading
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from typing import get_args
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app

from schemas.records import Outcome

RECORDS = Counter("headrace_step_records", "Records by what became of them.", ["step", "outcome"])
REJECTS = Counter("headrace_step_rejects", "Records that went to the dead-letter topic.", ["step", "code"])
BATCH_SECONDS = Histogram(
    "headrace_step_batch_seconds", "Seconds a batch spent in its handler.", ["step"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 120),
)  # fmt: skip
BATCH_RECORDS = Histogram(
    "headrace_step_batch_records", "Records of a batch.", ["step"], buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
QUEUE_SECONDS = Histogram(
    "headrace_step_queue_seconds", "Seconds from a record's timestamp to the begin of its handling.", ["step"],
    buckets=(0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 120, 600, 3600),
)  # fmt: skip
HOLDING = Gauge("headrace_step_holding", "1 while the step holds, or a record waits by itself.", ["step"])
HALTED = Gauge("headrace_step_halted", "1 while an order halts the step.", ["step"])
WATCHDOG_ENDS = Counter("headrace_watchdog_ends", "Processes of this slot that their watchdog ended.", ["reason"])
CHILD_DEATHS = Counter("headrace_step_child_deaths", "Child processes that died.", ["step"])
_WEBHOOKS = Counter("headrace_webhook_attempts", "Attempts to deliver a webhook.", ["outcome"])
Gauge("headrace_build_info", "Which release runs.", ["version"]).labels(version("headrace-server")).set(1)
_OPEN = Gauge("headrace_dead_letters_open", "Dead letters that are open, by the step that rejected them.", ["step"])
READY = threading.Event()
"""Set once the process works: `/readyz` answers 503 until then."""


class OfStep:
    """What the loop of one step counts for every record."""

    def __init__(self, step: str) -> None:
        self.queue_seconds = QUEUE_SECONDS.labels(step)
        self.batch_seconds = BATCH_SECONDS.labels(step)
        self.batch_records = BATCH_RECORDS.labels(step)
        self.records = {kind: RECORDS.labels(step, kind.__name__.lower()) for kind in get_args(Outcome)}
        self.holding = HOLDING.labels(step)


@cache
def of_step(step: str) -> OfStep:
    """Found once: to look a series up by its labels costs more than to count."""
    return OfStep(step)


def webhook_attempts() -> Callable[[str], None]:
    """What counts an attempt by its outcome; from now on all three are told, at first with 0."""
    known = {outcome: _WEBHOOKS.labels(outcome) for outcome in ("delivered", "failed", "refused")}
    return lambda outcome: known[outcome].inc()


def open_letters(by_step: Mapping[str, int]) -> None:
    """How many dead letters are open at each step; a step that is not named has none."""
    _OPEN.clear()
    for step, count in by_step.items():
        _OPEN.labels(step).set(count)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
        """A scrape is no news."""


def serve(port: int, host: str = "127.0.0.1", complaint: Callable[[], str] = lambda: "") -> WSGIServer:
    """Answer `/livez`, `/readyz` and `/metrics` from a daemon thread; `port` 0 takes any (see `server_port`).

    `complaint` says what is wrong with a process that answers and yet is not alive; empty while it is.
    """
    metrics = make_wsgi_app()

    def application(environ, start_response):  # type: ignore[no-untyped-def]
        if environ["PATH_INFO"] not in ("/livez", "/readyz"):
            return metrics(environ, start_response)
        ready = environ["PATH_INFO"] == "/livez" or READY.is_set()
        wrong = complaint() or ("" if ready else "starting")
        start_response("503 Service Unavailable" if wrong else "200 OK", [("Content-Type", "text/plain")])
        return [f"{wrong or 'ok'}\n".encode()]

    try:
        server = make_server(host, port, application, handler_class=_Quiet)
    except OSError as error:
        raise OSError(error.errno, f"HEADRACE_METRICS_PORT={port} of {host}: {error.strerror}") from error
    # The interval is only how soon a shutdown would be seen, and nothing shuts it down.
    threading.Thread(target=server.serve_forever, args=(60,), name="telemetry", daemon=True).start()
    return server

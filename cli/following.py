"""A job's story as it happens: its events, each once and in order, over as many connections as that takes."""

import time
from collections.abc import Iterator

import httpx2
from pydantic import ValidationError

from cli.client import RECONNECT, Away, Client
from cli.errors import CliError, Exit
from schemas.jobs import JobEvent

_SILENCE = 45.0  # seconds: the server says something every 15
_PATIENCE = 300.0  # seconds that a server may be away in the middle: a restart, a rollout


def follow(
    client: Client, job: str, *, after: int = 0, run: int = 1, until: float | None = None, known: bool = False
) -> Iterator[JobEvent]:
    """Events after the `after`th, until the server says that nothing follows: run `run` or a later one has ended.

    Raises `CliError`: `TIMEOUT` when that is not before `until` (seconds of `time.monotonic`), else what the server
    answers, and when it cannot be reached: at once at the beginning (unless it is `known` to be there), after five
    minutes later on.
    """
    heard = time.monotonic() if known else None  # when the server was last there
    while True:
        there, wait = False, RECONNECT
        try:
            with client.event_stream(job, after, run, _left(job, until)) as answer:
                if answer is None:
                    return
                there = True
                for event in _events(answer, job, until):
                    wait = 0.0
                    if event.seq > after:
                        after = event.seq
                        yield event
        except Away as error:
            _left(job, until)
            heard = time.monotonic() if there else heard
            if heard is None or time.monotonic() - heard > _PATIENCE:
                raise
            wait = error.wait
        else:
            heard = time.monotonic()
        time.sleep(min(wait, _left(job, until)))


def _left(job: str, until: float | None) -> float:
    """Seconds that a read may take; raises `CliError` where there are none left."""
    if until is None:
        return _SILENCE
    left = until - time.monotonic()
    if left <= 0:
        raise CliError(f"{job} has not ended in time", Exit.TIMEOUT, f"it goes on: headrace jobs watch {job}")
    return min(_SILENCE, left)


class _Timed(httpx2.SyncByteStream):
    """A body that ends with the caller's time, however lively it is: heartbeats are no events, so nobody else looks."""

    def __init__(self, stream: httpx2.SyncByteStream, job: str, until: float | None) -> None:
        self._stream = stream
        self._job = job
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield chunk
            _left(self._job, self._until)

    def close(self) -> None:
        self._stream.close()


def _events(answer: httpx2.Response, job: str, until: float | None) -> Iterator[JobEvent]:
    assert isinstance(answer.stream, httpx2.SyncByteStream)
    answer.stream = _Timed(answer.stream, job, until)
    try:
        for event in httpx2.EventSource(answer):
            if event.data:
                yield JobEvent.model_validate_json(event.data)
    except ValidationError as error:
        told = "the server tells an event that this command cannot read"
        raise CliError(told, hint="is it a newer release? use its command") from error

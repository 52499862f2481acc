"""From an error to an outcome, and from an outcome to records: dead letters, failure events, delayed retries."""

import contextlib
import random

from schemas.codec import follow
from schemas.documents import PartFailed, PartSkipped, Payload
from schemas.envelope import Envelope
from schemas.errors import DependencyDown, HeadraceError, InputError, PoisonRecord, RecordError
from schemas.records import Hold, Outcome, Outgoing, Record, Reject, Retry
from schemas.topics import DEAD_LETTERS, DELAYED, EVENTS, TOPICS

TRIES = 3
LONGEST_WAIT = 30.0
"""Seconds that a record may wait in a worker: longer, and it waits on the log."""
_DELAYABLE = frozenset(topic.name for topic in TOPICS if topic.records and {*topic.records} < {*DELAYED.records})
"""What may come back later: work. An event or an order waits where it is."""
_ATTEMPT = "ce_attempt"


def outcome_of(
    record: Record, step: str, error: Exception, *, attempt: int, dice: random.Random, now: float
) -> Outcome:
    """What becomes of a record whose handling raised `error` at its `attempt`th attempt, at `now` (s since 1970).

    Ours and unknown errors are tried three times, the waits between them drawn from the whole of a growing span, then
    rejected; the detail of an unknown error is not published, since it may quote the document.
    """
    if not isinstance(error, HeadraceError):
        error = HeadraceError(f"{type(error).__name__} in {step}")
    if error.fate == "hold":
        return Hold(error.detail, alone=not isinstance(error, DependencyDown))
    if error.fate == "retry" and attempt < TRIES:
        wait = _wait(error, attempt, dice)
        if wait <= LONGEST_WAIT or record.partition.topic not in _DELAYABLE:
            return Retry(min(wait, LONGEST_WAIT), error.detail)
        return Retry(wait, error.detail, (delayed(record, attempt + 1, now + wait),))
    code, detail = error.code, error.detail
    letter = dead_letter(record, step, code, detail, attempt)
    at_fault = isinstance(error, InputError) and not isinstance(error, PoisonRecord)
    return Reject(code, detail, (letter, *_failure(record, step, code, detail, attempt)), at_fault)


def attempt_of(record: Record) -> int:
    """Which attempt at the record this one is, as its envelope says; 1 where that cannot be read."""
    with contextlib.suppress(ValueError, StopIteration):
        return max(1, int(next(value for name, value in record.headers if name == _ATTEMPT)[:9]))
    return 1


def dead_letter(record: Record, step: str, code: str, detail: str, attempt: int) -> Outgoing:
    """The original bytes, key and headers, with what happened and where beside them."""
    story = {"code": code, "detail": detail, "step": step, "attempt": str(attempt), "position": str(record)}
    headers = tuple((f"headrace_{name}", value.encode()) for name, value in story.items())
    return Outgoing(DEAD_LETTERS.name, record.key or b"", record.value, (*record.headers, *headers))


def delayed(record: Record, attempt: int, due: float) -> Outgoing:
    """The record as its `attempt`th attempt, to come back to its own topic and partition at `due` (s since 1970)."""
    kept = [(name, value) for name, value in record.headers if name != _ATTEMPT]
    topic, number = record.partition
    told = {_ATTEMPT: str(attempt), "headrace_due": f"{due:.3f}", "headrace_topic": topic}
    headers = (*kept, *((name, value.encode()) for name, value in told.items()))
    return Outgoing(DELAYED.name, record.key or b"", record.value, (*headers, ("headrace_spread", b"%d" % number)))


def outgoing(envelope: Envelope, step: str, event: Payload) -> tuple[Outgoing, ...]:
    """An event about the record's part, for the projector."""
    return (follow(EVENTS.name, envelope, step, event),)


def _wait(error: HeadraceError, attempt: int, dice: random.Random) -> float:
    """Full jitter; where a dependency said when to come back, not before, and not all at once."""
    if error.retry_after:
        return error.retry_after * dice.uniform(1.0, 1.5)
    return dice.uniform(0.0, min(LONGEST_WAIT, 2.0**attempt))


def _failure(record: Record, step: str, code: str, detail: str, attempt: int) -> tuple[Outgoing, ...]:
    try:
        envelope = Envelope.from_headers(record.headers)
    except RecordError:  # a record of nobody's job: the dead letter is all there is to say
        return ()
    if envelope.name in (PartFailed.__name__, PartSkipped.__name__):  # else a failing failure begets the next one
        return ()
    (event,) = outgoing(envelope, step, PartFailed(step=step, code=code, detail=detail[:500]))
    headers = tuple((name, str(attempt).encode() if name == _ATTEMPT else value) for name, value in event.headers)
    return (Outgoing(event.topic, event.key, event.value, headers),)

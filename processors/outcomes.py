"""From an error to an outcome, and from an outcome to records: dead letters and failure events."""

import random

from schemas.codec import follow
from schemas.documents import PartFailed, PartSkipped, Payload
from schemas.envelope import Envelope
from schemas.errors import HeadraceError, RecordError
from schemas.records import Hold, Outcome, Outgoing, Record, Reject, Retry
from schemas.topics import DEAD_LETTERS, EVENTS

TRIES = 3


def outcome_of(record: Record, step: str, error: Exception, *, failures: int = 1) -> Outcome:
    """What becomes of a record whose handling raised `error` for the `failures`th time.

    Ours and unknown errors are tried three times with jitter, then rejected as `internal`; the detail of an unknown
    error is not published, since it may quote the document.
    """
    if not isinstance(error, HeadraceError):
        error = HeadraceError(f"{type(error).__name__} in {step}")
    if error.fate == "hold":
        return Hold(error.detail)
    if error.fate == "retry" and failures < TRIES:
        return Retry(min(30.0, 0.5 * 2**failures * random.uniform(0.5, 1.5)), error.detail)  # noqa: S311 jitter
    code, detail = error.code, error.detail
    letter = dead_letter(record, step, code, detail, failures)
    return Reject(code, detail, (letter, *_failure(record, step, code, detail)))


def dead_letter(record: Record, step: str, code: str, detail: str, failures: int) -> Outgoing:
    """The original bytes, key and headers, with what happened and where beside them."""
    story = {"code": code, "detail": detail, "step": step, "attempt": str(failures), "position": str(record)}
    headers = tuple((f"headrace_{name}", value.encode()) for name, value in story.items())
    return Outgoing(DEAD_LETTERS.name, record.key or b"", record.value, (*record.headers, *headers))


def outgoing(envelope: Envelope, step: str, event: Payload) -> tuple[Outgoing, ...]:
    """An event about the record's part, for the projector."""
    return (follow(EVENTS.name, envelope, step, event),)


def _failure(record: Record, step: str, code: str, detail: str) -> tuple[Outgoing, ...]:
    try:
        envelope = Envelope.from_headers(record.headers)
    except RecordError:  # a record of nobody's job: the dead letter is all there is to say
        return ()
    if envelope.name in (PartFailed.__name__, PartSkipped.__name__):  # else a failing failure begets the next one
        return ()
    return outgoing(envelope, step, PartFailed(step=step, code=code, detail=detail[:500]))

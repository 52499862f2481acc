"""A record of the log as people and programs read it."""

import json
from datetime import UTC, datetime
from typing import Any

from cli.output import plain
from cli.summaries import facts, short
from schemas.envelope import Envelope
from schemas.errors import RecordError


def as_object(message: Any) -> dict[str, Any]:
    """Position, key, envelope (null where the headers are none), other headers, and payload (null for a tombstone).

    A value that is no JSON is a text, with marks for bytes that are none.
    """
    headers: list[tuple[str, bytes | None]] = message.headers() or []
    envelope = _envelope(headers)
    ours = ("ce_", "traceparent", "content-type")
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": _at(message).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "key": _text(message.key()),
        "envelope": None if envelope is None else envelope.model_dump(mode="json"),
        "headers": {name: _text(value) for name, value in headers if envelope is None or not name.startswith(ours)},
        "payload": _payload(message.value()),
    }


def as_line(message: Any, width: int | None) -> str:
    """Time, kind, whose, part and a summary; where `width` (of a terminal) is given, cut to it.

    A terminal gets the local time of day, and of a long id the end, which tells jobs of one moment apart.
    """
    envelope = _envelope(message.headers() or [])
    at = _at(message)
    time = (
        at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if width is None else f"{at.astimezone():%H:%M:%S}"
    )
    name = "-" if envelope is None else envelope.name
    subject = (
        _text(message.key()) or "-" if envelope is None else envelope.job or f"{envelope.tenant}/{envelope.document}"
    )
    part = "" if envelope is None or not envelope.part else f"p{envelope.part}"
    summary = _summary(_payload(message.value()))
    if width is None:
        return "\t".join(plain(cell) for cell in (time, name, subject, part, summary))
    if width < 120 and len(subject) > 12:
        subject = f"…{subject[-8:]}"
    return f"{time}  {plain(name):16}  {plain(subject)}  {part:4}  {plain(summary)}"


def tenant(message: Any) -> str | None:
    """Whose record it is, None where it does not say."""
    return next((_text(value) for name, value in message.headers() or [] if name == "ce_tenant"), None)


def _summary(payload: Any) -> str:
    if payload is None:
        return "(tombstone)"
    return facts(payload) if isinstance(payload, dict) else short(str(payload))


def _envelope(headers: list[tuple[str, bytes | None]]) -> Envelope | None:
    try:
        return Envelope.from_headers([(name, value or b"") for name, value in headers])
    except RecordError:
        return None


def _payload(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return _text(value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _at(message: Any) -> datetime:
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)

"""A record of the log as people and programs read it."""

import json
from datetime import UTC, datetime
from typing import Any

from cli.output import plain
from schemas.envelope import Envelope
from schemas.errors import RecordError

_VALUE = 60  # characters of a text in a summary


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
    """The simple values of a payload, how long its lists are, and of inner objects the code, where they have one.

    Paths on the API are left out: they say no more than job and part do, at length.
    """
    if payload is None:
        return "(tombstone)"
    if not isinstance(payload, dict):
        return _short(str(payload))
    facts = []
    for name, value in payload.items():
        if isinstance(value, list):
            facts += [f"{name}[{len(value)}]"] if value else []
        elif isinstance(value, dict):
            facts += [f"{name}={_short(str(value['code']))}"] if "code" in value else []
        elif value not in (None, "") and not str(value).startswith("/v1/"):
            facts.append(f"{name}={_short(value if isinstance(value, str) else json.dumps(value))}")
    return " ".join(facts)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"


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

"""From a record of `headrace.dead-letters` to a row, and from a row to the record that it was."""

import base64
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.dead_letters import cause_of
from schemas.envelope import NAMESPACE, Envelope
from schemas.errors import RecordError
from schemas.plans import DOCUMENT
from schemas.records import Partition, Record

REDRIVEN = "headrace_redriven"
"""Header of a record that was redriven: the letter that it came from."""
_TOLD = ("code", "detail", "step", "attempt", "position")
_POSITION = re.compile(r"([\w.-]{1,249})\[(\d{1,6})\]@(\d{1,18})")
_LARGEST = 2**31 - 1
_NOBODY = Envelope(
    id=uuid.UUID(int=0), kind="headrace.Unreadable.v1", at=datetime(1970, 1, 1, tzinfo=UTC), job="", run=1, part=0,
    tenant="nobody", plan=DOCUMENT.hash, document="", traceparent=f"00-{'0' * 32}-{'0' * 16}-00",
)  # fmt: skip


def envelope_of(record: Record) -> Envelope:
    """The envelope of the record that was rejected; nobody's, without a job, where it has none that can be kept."""
    try:
        envelope = Envelope.from_headers(record.headers)
    except RecordError:
        return _NOBODY
    kept = max(envelope.run, envelope.part, envelope.attempt) <= _LARGEST and envelope.revision < 2**63
    return envelope if kept else _NOBODY


def letter_row(record: Record) -> dict[str, Any]:
    """The row of `dead_letters` that a record is; its id is the same however often the same work was rejected."""
    headers = dict(record.headers)
    told = {name: headers.get(f"headrace_{name}", b"").decode(errors="replace") for name in _TOLD}
    envelope, readable = envelope_of(record), True
    if envelope is _NOBODY:
        envelope, readable = _NOBODY.model_copy(update={"at": datetime.fromtimestamp(record.at, UTC)}), False
    topic, partition, offset = _place(told["position"])
    named = str(envelope.id) if readable else f"{told['position']}|{record.at}"
    again = headers.get(REDRIVEN, b"").decode(errors="replace")
    return {
        "id": str(uuid.uuid5(NAMESPACE, f"dead letter|{told['step']}|{named}|{again}")),
        "told_tenant": envelope.tenant if readable else "",
        "job": envelope.job,
        "document_id": envelope.document,
        "run": envelope.run,
        "part": envelope.part,
        "plan": envelope.plan if readable else "",
        "kind": envelope.kind if readable else "",
        "step": told["step"],
        "code": told["code"],
        "detail": told["detail"],
        "cause": cause_of(told["step"], told["code"], told["detail"]),
        "attempt": int(told["attempt"]) if re.fullmatch(r"\d{1,9}", told["attempt"]) else 1,
        "at": datetime.fromtimestamp(record.at, UTC).isoformat(),
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "key": _packed(record.key),
        "headers": [[name, _packed(value)] for name, value in original(record.headers)],
        "value": _packed(record.value),
    }


def original(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers without what the rejection added."""
    added = {f"headrace_{name}" for name in _TOLD}
    return [(name, value) for name, value in headers if name not in added]


def record_of(row: Mapping[str, Any]) -> Record:
    """The record that was rejected, at its own position."""
    headers = tuple((name, base64.b64decode(value)) for name, value in row["headers"])
    place = Partition(row["topic"], row["partition"])
    return Record(place, row["offset"], 0, row["key"], row["value"], headers, row["at"].timestamp())


def _place(position: str) -> tuple[str, int, int]:
    found = _POSITION.fullmatch(position)
    return (found[1], int(found[2]), int(found[3])) if found else ("", -1, -1)


def _packed(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()

"""Records to bytes and back: envelope in the headers, payload as JSON in the value."""

import uuid
import zlib

from schemas.documents import PAYLOADS, Payload
from schemas.envelope import NAMESPACE, Envelope
from schemas.errors import NewerThanUs, RecordError
from schemas.plans import PLANS
from schemas.records import Outgoing, Record
from schemas.results import PUBLIC

KINDS: dict[str, type[Payload]] = {**PAYLOADS, **{payload.__name__: payload for payload in PUBLIC}}
"""Name to payload: all that a record with an envelope may hold."""


def encode(topic: str, envelope: Envelope, payload: Payload, *, spread: int | None = None) -> Outgoing:
    """One record ready to publish, keyed by its job; one about a whole document by tenant and document."""
    key = envelope.job or f"{envelope.tenant}/{envelope.document}"
    return Outgoing(topic, key.encode(), payload.model_dump_json().encode(), envelope.headers(), spread)


def follow(
    topic: str,
    parent: Envelope,
    step: str,
    payload: Payload,
    *,
    part: int | None = None,
    digests: tuple[str, str] = ("", ""),
    spread: int | None = None,
) -> Outgoing:
    """The record that `step` makes of `parent`, with its deterministic id."""
    return encode(topic, parent.follow(payload.kind(), step, part=part, digests=digests), payload, spread=spread)


def decode(record: Record) -> tuple[Envelope, Payload]:
    """Envelope and payload of a record.

    Raises `RecordError` for bytes that are none of ours, `NewerThanUs` for a kind, a major version or a plan that this
    release does not know (N reads N-1 to N+1: fields that N+1 added are ignored).
    """
    envelope = Envelope.from_headers(record.headers)
    payload = KINDS.get(envelope.name)
    if payload is None or envelope.version > payload.major + 1 or envelope.plan not in PLANS:
        raise NewerThanUs(f"{envelope.kind} of plan {envelope.plan} is unknown to this release")
    try:
        return envelope, payload.model_validate_json(record.value or b"")
    except ValueError as error:
        raise RecordError(f"the record's value is not a {envelope.kind}") from error


def submission_id(job: str, sha256: str, run: int) -> uuid.UUID:
    """The id of a run's `JobSubmitted`, which the ids of all that is made of it follow from, however it came there."""
    return uuid.uuid5(NAMESPACE, f"{job}|{sha256}" if run == 1 else f"{job}|{sha256}|{run}")


def page_spread(job: str, page: int) -> int:
    """Pages go round the partitions from a place that differs by job: hashed keys left workers idle."""
    return zlib.crc32(job.encode()) + page


def index_id(envelope: Envelope, chunk: int, digest: str) -> uuid.UUID:
    """A passage's id in every index: the same for every repeat of the same work."""
    document = (envelope.tenant, envelope.document, str(envelope.revision))
    parts = (*document, str(envelope.part), str(chunk), envelope.plan, digest)
    return uuid.uuid5(uuid.NAMESPACE_OID, "\x1f".join(parts))

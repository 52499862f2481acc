"""What becomes of one dead letter that is tried again: the record to publish, under a run and a plan of its own."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

from producers.claims import put_aside
from schemas import topics, trail
from schemas.codec import KINDS, page_spread, submission_id
from schemas.dead_letters import foreign
from schemas.documents import Edits, JobSubmitted, PageRead, Payload, SliceReleased
from schemas.envelope import NAMESPACE, Envelope, child_span
from schemas.plans import PLANS, edited
from schemas.ports import BlobStore
from schemas.records import Outgoing, Record
from sinks.announcements import announced, awaited
from sinks.letter_rows import REDRIVEN, envelope_of, record_of

_OF_PAGES = frozenset({"PagePrepared", "PageRead", "PageChunked", "ChunksEmbedded"})
_OF_DOCUMENTS = frozenset({"JobSubmitted", "SliceReleased"})
_TOPICS = frozenset(topic.name for topic in topics.TOPICS)


class Refused(Exception):
    """The letter cannot be tried again like this; the text says why, for the audit."""


@dataclass(frozen=True)
class Letter:
    """A letter as it lies in the database; `record` is the one that was rejected, at its own place on the log."""

    id: uuid.UUID
    tenant: str
    job: str
    part: int
    run: int
    step: str
    plan: str
    record: Record

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of `dead_letters`."""
        named = {name: row[name] for name in ("id", "tenant", "job", "part", "run", "step", "plan")}
        return cls(**named, record=record_of(row))

    @cached_property
    def envelope(self) -> Envelope:
        """The record's envelope; nobody's where it has none."""
        return envelope_of(self.record)

    @property
    def kind(self) -> str:
        """The payload's name."""
        return self.envelope.name

    @property
    def of_page(self) -> bool:
        """Whether it is a page on its way, which may begin a run of its own."""
        return self.part > 0 and self.kind in _OF_PAGES

    @property
    def of_document(self) -> bool:
        """Whether it is a document on its way, which begins anew as a whole."""
        return self.kind in _OF_DOCUMENTS and self.step != "projector"


def begun_anew(letter: Letter, edits: Edits, run: int) -> dict[str, Any]:
    """The row of the outbox that begins the job's next run: the record that a retry would write, under the same id."""
    payload = _edited(letter, edits) or _payload(letter)
    assert isinstance(payload, JobSubmitted | SliceReleased)
    submitted = JobSubmitted(source=payload.source, filename=payload.filename, pipeline=payload.pipeline)
    name = submission_id(letter.job, payload.source.sha256, run)
    envelope = _anew(letter, edits, run).model_copy(update={"id": name, "kind": submitted.kind()})
    value = submitted.model_dump_json().encode()
    return announced(envelope, Outgoing(topics.JOBS.name, letter.job.encode(), value, envelope.headers()))


async def page_again(letter: Letter, edits: Edits, run: int, blobs: BlobStore) -> Outgoing:
    """The page's record as its next run; raises `Refused` for edits that cannot be made."""
    envelope = _anew(letter, edits, run)
    record = _record(letter, envelope, _edited(letter, edits))
    return await put_aside(replace(record, spread=page_spread(letter.job, letter.part)), blobs)


async def once_more(letter: Letter, edits: Edits, blobs: BlobStore) -> Outgoing:
    """The very same record: whoever took it in takes no notice, and who rejected it sees it again."""
    if edits.settings:
        raise Refused("settings make no difference to a record whose page is done")
    payload = _edited(letter, edits)
    named = {"id": uuid.uuid5(NAMESPACE, f"{letter.id}|{payload.model_dump_json()}")} if payload else {}
    return await put_aside(_record(letter, letter.envelope.model_copy(update=named), payload), blobs)


async def read_again(letter: Letter, record: Outgoing, read: str | None, blobs: BlobStore) -> dict[str, Any]:
    """The row of the outbox that tells the page's new run what was read; `read` is what was stored of it.

    Raises `Refused` where nothing is.
    """
    envelope = Envelope.from_headers(record.headers)
    if letter.kind == PageRead.__name__:
        return announced(envelope, replace(record, topic=topics.EVENTS.name, spread=None))
    if read is None:
        raise Refused("what was read on the page is not stored any more; retry the job")
    name = uuid.uuid5(NAMESPACE, f"{envelope.id}|read")
    envelope = envelope.model_copy(update={"id": name, "kind": PageRead.kind()})
    told = Outgoing(topics.EVENTS.name, record.key, read.encode(), envelope.headers())
    return announced(envelope, await put_aside(told, blobs))


def queued(record: Outgoing, tenant: str) -> dict[str, Any]:
    """The row of `waiting_records` that a record is."""
    envelope = Envelope.from_headers(record.headers)
    name = uuid.uuid5(NAMESPACE, f"{envelope.id}|{dict(record.headers)[REDRIVEN].decode()}")
    return awaited(envelope, record, name) | {"tenant": tenant}


def _anew(letter: Letter, edits: Edits, run: int) -> Envelope:
    """The letter's envelope in a new run and perhaps under a new plan, with as much time as it had at first."""
    own, now = letter.envelope, datetime.now(UTC)
    try:
        plan = edited(PLANS[own.plan], edits.settings).hash
    except KeyError as error:
        raise Refused("the letter's plan is not known to this release") from error
    except ValueError as error:
        raise Refused(str(error)) from error
    name = uuid.uuid5(NAMESPACE, f"{own.id}|redriven|{run}|{plan}")
    deadline = now + (own.deadline - own.at) if own.deadline and own.deadline > own.at else None
    fresh = {"id": name, "run": run, "plan": plan, "attempt": 1, "at": now, "deadline": deadline}
    return own.model_copy(update={**fresh, "traceparent": child_span(own.traceparent)})


def _record(letter: Letter, envelope: Envelope, payload: Payload | None) -> Outgoing:
    topic = letter.record.partition.topic
    if topic not in _TOPICS:
        raise Refused("where the record came from is no topic of this release")
    headers = [*envelope.headers(), (REDRIVEN, str(letter.id).encode())]
    key = letter.record.key or b""
    if payload is not None:
        return Outgoing(topic, key, payload.model_dump_json().encode(), tuple(headers))
    ours = dict(envelope.headers())
    kept = trail.without(letter.record.headers) if envelope.run > letter.run else letter.record.headers
    headers += [(name, value) for name, value in kept if name not in ours and name != REDRIVEN]
    return Outgoing(topic, key, letter.record.value, tuple(headers))


def _edited(letter: Letter, edits: Edits) -> Payload | None:
    if edits.payload is None:
        return None
    try:
        payload = KINDS[letter.kind].model_validate(edits.payload)
    except (KeyError, ValueError) as error:
        raise Refused(f"the payload is no {letter.kind}") from error
    if strange := foreign(edits.payload, letter.tenant):
        raise Refused(f"{strange} names bytes that are not the tenant's")
    return payload


def _payload(letter: Letter) -> Payload:
    try:
        return KINDS[letter.kind].model_validate_json(letter.record.value or b"")
    except (KeyError, ValueError) as error:
        raise Refused("the record cannot be read; edit its payload") from error

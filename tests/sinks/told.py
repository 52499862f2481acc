"""What the projector told: records of the outbox as a subscriber gets them, and lines of a job's story."""

import json
from dataclasses import dataclass
from typing import Any

from schemas import topics
from schemas.codec import decode
from schemas.documents import Payload
from schemas.envelope import Envelope
from schemas.records import Partition, Record
from schemas.results import JobEnded, PageEnded
from tests.sinks.databases import rows


@dataclass(frozen=True, slots=True)
class Announced:
    """A row of the outbox, decoded; of a standing order only its `value` is."""

    id: str
    topic: str
    key: str
    value: dict[str, Any]
    envelope: Envelope | None
    payload: Payload | None

    @property
    def name(self) -> str:
        """The payload's name."""
        return self.envelope.name if self.envelope else "ControlEntry"


async def outbox(admin: str, *keys: str) -> list[Announced]:
    """What was announced under these keys, in order."""
    query = "SELECT ce_id, topic, key, headers, value FROM outbox WHERE key = ANY($1) ORDER BY seq"
    return [_announced(**dict(row)) for row in await rows(admin, query, list(keys))]


async def ends(admin: str, job: str) -> list[tuple[str, int]]:
    """How the runs of a job ended, as subscribers were told."""
    found = await outbox(admin, job)
    return [(a.payload.state, a.envelope.run) for a in found if isinstance(a.payload, JobEnded) and a.envelope]


async def pages(admin: str, job: str) -> list[tuple[int, int, str]]:
    """Page, run and fate of a job's pages, as subscribers were told."""
    found = await outbox(admin, job)
    told = [(a.envelope, a.payload) for a in found if isinstance(a.payload, PageEnded)]
    return sorted((envelope.part, envelope.run, payload.state) for envelope, payload in told if envelope)


async def story(admin: str, job: str) -> list[tuple[int, str, int]]:
    """Run, event and part of each line of a job's story, which has no gap and agrees with its row."""
    found = await rows(admin, "SELECT seq, run, event, part FROM job_events WHERE job = $1 ORDER BY seq", job)
    assert [row["seq"] for row in found] == list(range(1, len(found) + 1))
    [(last,)] = await rows(admin, "SELECT last_event FROM jobs WHERE id = $1", job)
    assert last == len(found)
    return [(row["run"], row["event"], row["part"]) for row in found]


def _announced(ce_id: object, topic: str, key: str, headers: str, value: str) -> Announced:
    pairs = tuple((name, text.encode()) for name, text in json.loads(headers))
    if topic == topics.CONTROL.name:
        assert pairs == ()
        return Announced(str(ce_id), topic, key, json.loads(value), None, None)
    envelope, payload = decode(Record(Partition(topic, 0), 0, 1, key.encode(), value.encode(), pairs, 0.0))
    assert str(envelope.id) == str(ce_id)
    return Announced(str(ce_id), topic, key, json.loads(value), envelope, payload)

"""What comes of a part when a later run of it is done already, and what anybody can see of its job."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Producer

from deploy.local.session import Session
from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.envelope import Envelope
from schemas.topics import EVENTS, RESULTS, Topic
from tests.faults.history import Said, topic
from tests.sinks.databases import rows
from tests.support import behind, read, until

MARK = "out of date"
_SEEN = {
    "job": "SELECT state, runs, pages_total, pages_settled, finished_at FROM jobs WHERE id = $1",
    "parts": "SELECT part, kind, run, ce_id FROM current_parts WHERE job = $1 ORDER BY part, kind",
    "results": "SELECT part, run, ce_id, text FROM results WHERE job = $1 ORDER BY part",
    "pages": "SELECT index, page, run, passages FROM indexed_pages WHERE job = $1 ORDER BY index, page",
    "passages": "SELECT id, run, page, text FROM chunks WHERE job = $1 ORDER BY id",
    "told": "SELECT seq, run, event, part FROM job_events WHERE job = $1 ORDER BY seq",
}


def seen(stack: Session, job: str) -> dict[str, list[Any]]:
    """What PostgreSQL holds of a job, and what was announced of it."""
    found = {what: asyncio.run(rows(stack.admin_url, query, job)) for what, query in _SEEN.items()}
    announced = [said.id for said in topic(Broker(stack.kafka), RESULTS.name) if said.place.job == job]
    return found | {"announced": sorted(announced)}


def events(stack: Session, job: str, run: int) -> list[Said]:
    """What the steps and indexes told of a run."""
    return [said for said in topic(Broker(stack.kafka), EVENTS.name) if said.place[:2] == (job, run)]


def come_late(stack: Session, job: str, page: int, topics: Sequence[Topic]) -> Counter[str]:
    """Put on these topics what the run before a page's last would have: its records with other words. How many each."""
    broker = Broker(stack.kafka)
    producer = Producer(librdkafka(broker))
    put: Counter[str] = Counter()
    copied: set[tuple[str, uuid.UUID]] = set()
    for name in topics:
        for message in read(broker, name.name):
            envelope = Envelope.from_headers(message.headers())
            if (envelope.job, envelope.part) != (job, page) or envelope.run == 1 or (name.name, envelope.id) in copied:
                continue
            copied.add((name.name, envelope.id))
            late = envelope.model_copy(update={"id": uuid.uuid4(), "run": envelope.run - 1})
            value = message.value().replace(b'"text":"', f'"text":"{MARK} '.encode())
            producer.produce(name.name, value, message.key(), message.partition(), headers=list(late.headers()))
            put[name.name] += 1
    assert producer.flush(30) == 0
    return put


def until_caught_up(stack: Session) -> None:
    """Wait until every group has read what lies on the log now."""
    begun = time.time()
    until(lambda: time.time() > begun + 1 and not behind(Broker(stack.kafka)), 60, "everything to be read")

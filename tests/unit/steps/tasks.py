"""Tasks as the loop hands them to a step."""

import uuid
from datetime import UTC, datetime

from schemas.codec import decode, encode
from schemas.documents import Payload
from schemas.envelope import Envelope, new_trace
from schemas.plans import DOCUMENT
from schemas.records import Outgoing, Partition, Record
from schemas.work import Task

JOB = "job-1"


def task(record: Outgoing) -> Task:
    """What reading the record back gives."""
    read = Record(Partition(record.topic, 0), 0, 0, record.key, record.value, record.headers, 0.0)
    return Task(*decode(read), read, queued=0.25)


def first_task(payload: Payload, part: int = 0) -> Task:
    """A task of job `JOB` in its second run."""
    envelope = Envelope(
        id=uuid.UUID(int=7), kind=payload.kind(), at=datetime.now(UTC), job=JOB, run=2, part=part, tenant="demo",
        plan=DOCUMENT.hash, document="d", traceparent=new_trace(),
    )  # fmt: skip
    return task(encode("any", envelope, payload))

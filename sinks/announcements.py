"""What the projector tells the world, as rows of its outbox: each the record that the relay is to publish.

A row's id is derived from what it announces and not from the event that led to it, so that each thing is announced
once, whichever projector came to it and by whatever way.
"""

import base64
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas import labels, topics
from schemas.codec import encode
from schemas.control import ControlEntry
from schemas.documents import DocumentDropped, JobErased, PagesReopened, Payload
from schemas.envelope import NAMESPACE, Envelope, new_trace
from schemas.jobs import picture_path
from schemas.records import Outgoing
from schemas.results import DocumentDeleted, JobEnded, PageEnded, PublicClaim
from sinks.fan_in import EndedJob, EndedPage

Row = dict[str, Any]


def page_ended(envelope: Envelope, page: EndedPage, *, hidden: bool) -> Row:
    """A page is done, or will not be; of a deleted job (`hidden`) only that is said."""
    shown = page.state == "succeeded" and not hidden
    payload = PageEnded(
        state=page.state,
        result=f"/v1/jobs/{page.job}/pages/{page.part}" if shown else None,
        text=page.text if shown else None,
        image=_picture(page) if shown else None,
        error=page.error,
    )
    return _of_job(topics.RESULTS.name, envelope, payload, run=page.run, part=page.part, at=page.at)


def job_ended(envelope: Envelope, end: EndedJob, job: Any, *, hidden: bool) -> Row:
    """A run of a job came to its end; of a deleted one (`hidden`) nothing is told that its caller wrote."""
    payload = JobEnded(
        state=end.state,
        filename=None if hidden else job.filename,
        metadata={} if hidden else labels.metadata(job.metadata),
        tags=() if hidden else tuple(job.tags or ()),
        pages_total=end.pages_total,
        pages_succeeded=end.succeeded,
        result=f"/v1/jobs/{end.job}/result",
        finished_at=end.at,
    )
    return _of_job(topics.RESULTS.name, envelope, payload, run=end.run, part=0, at=end.at)


def document_replaced(envelope: Envelope, end: EndedJob) -> Row:
    """The revision in `envelope` succeeded: searches are to find no earlier one."""
    replaced = envelope.model_copy(update={"revision": envelope.revision - 1, "at": end.at})
    return _of_document(topics.DOCUMENTS.name, replaced, DocumentDropped(reason="replaced"))


def document_deleted(envelope: Envelope) -> Row:
    """The revisions up to that in `envelope` were deleted by their owner."""
    return _of_document(topics.RESULTS.name, envelope, DocumentDeleted())


def cancelled(tenant: str, job: str, run: int) -> Row:
    """The order to work no more on a deleted job; it stands as long as its work may lie on the log."""
    until = datetime.now(UTC) + timedelta(milliseconds=topics.JOBS.retention_ms)
    entry = ControlEntry(action="cancel", run=run, until=until)
    return {
        "ce_id": str(_id(job, run, 0, ControlEntry.__name__)),
        "tenant": tenant,
        "job": job,
        "topic": topics.CONTROL.name,
        "key": job,
        "headers": [],
        "value": entry.model_dump_json(),
    }


def pages_reopened(envelope: Envelope, run: int, pages: Mapping[int, str]) -> Row:
    """Pages of a job (each with the step where it goes on) are worked on again by themselves."""
    payload = PagesReopened(pages=tuple(sorted(pages)), step=", ".join(sorted(set(pages.values()))))
    return _of_job(topics.EVENTS.name, envelope, payload, run=run, part=0, at=datetime.now(UTC))


def envelope_of(job: Any, name: uuid.UUID, kind: str, *, part: int, at: datetime) -> Envelope:
    """An envelope about a part of a job, by its row: job, run, tenant, plan, lane, document and data class."""
    return Envelope(
        id=name,
        kind=kind,
        at=at,
        job=job.job,
        run=job.run,
        part=part,
        tenant=job.tenant,
        plan=job.plan,
        lane=job.lane,
        document=job.document_id,
        revision=job.revision,
        data_class=job.data_class,
        traceparent=new_trace(),
    )


def announced(envelope: Envelope, record: Outgoing) -> Row:
    """Any record as a row of the outbox."""
    return {
        "ce_id": str(envelope.id),
        "tenant": envelope.tenant,
        "job": envelope.job,
        "topic": record.topic,
        "key": record.key.decode(),
        "headers": [[name, value.decode()] for name, value in record.headers],
        "value": (record.value or b"").decode(),
    }


def awaited(envelope: Envelope, record: Outgoing, name: uuid.UUID) -> Row:
    """Any record as a row of `waiting_records`, by a name of its own; its value may be any bytes."""
    row = announced(envelope, replace(record, value=None))
    value = base64.b64encode(record.value or b"").decode()
    return row | {"id": str(name), "lane": envelope.lane, "value": value, "spread": record.spread}


def job_erased(envelope: Envelope, run: int, source: str, *, ended: bool) -> Row:
    """The bytes of the deleted job in `envelope` are to be erased.

    At once, and once more after its end (`ended`): what was at work on it when it was deleted may have written since.
    """
    row = _of_job(
        topics.DOCUMENTS.name, envelope, JobErased(source=source), run=run, part=0, at=envelope.at, ended=ended
    )
    return row | {"key": f"{envelope.tenant}/{envelope.document}"}


def _picture(page: EndedPage) -> PublicClaim | None:
    if page.image is None:
        return None
    url = picture_path(page.job, page.part)
    return PublicClaim(url=url, media_type="image/png", sha256=page.image.sha256, size=page.image.size)


def _of_job(
    topic: str, envelope: Envelope, payload: Payload, *, run: int, part: int, at: datetime, ended: bool = False
) -> Row:
    kind = payload.kind()
    named = {"id": _id(envelope.job, run, part, kind, *(["ended"] * ended)), "kind": kind, "at": at, "attempt": 1}
    return _row(topic, envelope.model_copy(update={**named, "run": run, "part": part}), payload)


def _of_document(topic: str, envelope: Envelope, payload: Payload) -> Row:
    """About a document, so of no job; and without the deadline of one, as it is true however late it is read."""
    kind = payload.kind()
    named = {"id": _id(f"{envelope.tenant}/{envelope.document}", envelope.revision, 0, kind), "kind": kind}
    whole = {"job": "", "run": 1, "part": 0, "attempt": 1, "deadline": None}
    return _row(topic, envelope.model_copy(update={**named, **whole}), payload)


def _row(topic: str, envelope: Envelope, payload: Payload) -> Row:
    return announced(envelope, encode(topic, envelope, payload))


def _id(*named: object) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, "|".join(map(str, named)))

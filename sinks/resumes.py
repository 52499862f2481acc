"""Jobs taken up again in the middle: their unfinished pages go on from what earlier steps stored of them."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from producers.claims import put_aside
from schemas import topics
from schemas.codec import encode, page_spread
from schemas.documents import PagePrepared, PageRead, ResumeRequested
from schemas.envelope import NAMESPACE, Envelope
from schemas.jobs import fate, needs
from schemas.pages import prepared_key
from schemas.plans import PLANS
from schemas.ports import BlobStore
from schemas.work import Task
from sinks.announcements import announced, awaited, pages_reopened
from sinks.postgres import letters, statements
from sinks.postgres.rows import bulk

_AT_ONCE = 32  # pages whose outputs are in memory together; more than that of a job go on in the bulk lane

_JOB = text("""
    SELECT pages_total, prepared.run AS prepared FROM jobs
    JOIN current_parts AS prepared ON prepared.job = id AND prepared.part = 0 AND prepared.kind = 'prepared'
    WHERE id = :job AND NOT deleted
""")
_PAGES = text("""
    SELECT part, array_agg(kind) AS kinds FROM current_parts WHERE job = :job AND part > 0 GROUP BY part
""")
_READ = text("SELECT part, CAST(payload AS text) AS payload FROM results WHERE job = :job AND part = ANY(:pages)")


async def resume(connection: AsyncConnection, blobs: BlobStore, task: Task) -> None:
    """Let the pages of a job that did not succeed wait for their next turn, from the step that `ResumeRequested` names.

    All of them get one run, above all that the job has had; a repeat of the request changes nothing. A page that has
    none of the output which the step takes goes on from the nearest that is stored; one with nothing stored is left as
    it is. Raises `DependencyDown` while the blob store does not answer.
    """
    assert isinstance(task.payload, ResumeRequested)
    envelope = task.envelope
    asked = {"consumer": "resumes", "ids": [envelope.id]}
    job = (await connection.execute(_JOB, {"job": envelope.job})).first()
    if job is None or not (await connection.scalars(statements.REMEMBER, asked)).all():
        return
    run = await connection.scalar(letters.NEXT_RUN, {"job": envelope.job})
    known = (await connection.execute(_PAGES, {"job": envelope.job})).all()
    pages = _unfinished(envelope, known, job.pages_total)
    named = {"run": run, "deadline": None, "attempt": 1, "at": datetime.now(UTC)}
    envelope = envelope.model_copy(update=named if len(pages) <= _AT_ONCE else {**named, "lane": "bulk"})
    reopened: dict[int, str] = {}
    for begin in range(0, len(pages), _AT_ONCE):
        batch = pages[begin : begin + _AT_ONCE]
        read = await connection.execute(_READ, {"job": envelope.job, "pages": batch})
        texts = {page: PageRead.model_validate_json(payload) for page, payload in read}
        pictures = await asyncio.to_thread(_prepared, blobs, envelope, job.prepared, batch)
        first, second = (pictures, texts) if task.payload.step == "ocr" else (texts, pictures)
        reopened |= await _wait(connection, blobs, envelope, {**second, **first})
    if reopened:
        await bulk(connection, statements.ANNOUNCE, [pages_reopened(envelope, envelope.run, reopened) | {"place": 0}])


def _unfinished(envelope: Envelope, known: Sequence[Row[Any]], total: int) -> list[int]:
    needed = needs(PLANS[envelope.plan].indexes)
    done = {page.part for page in known if fate(page.kinds, needed) == "indexed"}
    return [page for page in range(1, total + 1) if page not in done]


def _prepared(blobs: BlobStore, envelope: Envelope, run: int, pages: Sequence[int]) -> dict[int, PagePrepared]:
    found = {page: blobs.find(prepared_key(envelope.tenant, envelope.job, run, page)) for page in pages}
    return {page: PagePrepared.model_validate_json(stored) for page, stored in found.items() if stored is not None}


async def _wait(
    connection: AsyncConnection, blobs: BlobStore, envelope: Envelope, outputs: Mapping[int, PagePrepared | PageRead]
) -> dict[int, str]:
    """Let each page wait, and tell its new run what was read where that stays; the step at which each goes on."""
    waiting, told = [], []
    for page, output in sorted(outputs.items()):
        name = uuid.uuid5(NAMESPACE, f"{envelope.job}|resumed|{page}|{envelope.run}|{output.kind()}")
        own = envelope.model_copy(update={"id": name, "kind": output.kind(), "part": page})
        record = encode(_topic(own, output), own, output, spread=page_spread(own.job, page))
        record = await put_aside(record, blobs)
        waiting.append(awaited(own, record, name))
        if isinstance(output, PageRead):
            told.append({**announced(own, replace(record, topic=topics.EVENTS.name)), "place": page})
    await bulk(connection, letters.ENQUEUE, waiting)
    await bulk(connection, statements.ANNOUNCE, told)
    return {page: "chunk" if isinstance(output, PageRead) else "ocr" for page, output in outputs.items()}


def _topic(envelope: Envelope, output: PagePrepared | PageRead) -> str:
    topic = topics.CHUNK if isinstance(output, PageRead) else topics.of_lane(topics.OCR, envelope.lane)
    return topic.name

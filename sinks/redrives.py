"""Orders about dead letters, carried out in the dispatcher's transaction: letters become records that wait."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.dead_letters import Action
from schemas.documents import DiscardRequested, RedriveRequested, ResumeRequested
from schemas.jobs import TERMINAL, JobState, fate, needs
from schemas.plans import PLANS
from schemas.ports import BlobStore
from schemas.work import Task
from sinks.announcements import pages_reopened
from sinks.postgres import letters, statements
from sinks.postgres.rows import bulk
from sinks.redriven import Letter, Refused, begun_anew, once_more, page_again, queued, read_again
from sinks.resumes import resume

_STOPPED = {JobState.CANCELLED: "the job was cancelled", JobState.EXPIRED: "the job is past its deadline"}


async def take(connection: AsyncConnection, blobs: BlobStore, tasks: Sequence[Task]) -> None:
    """Carry out orders of `headrace.redrives`, each once; raises `DependencyDown` while the blob store is down."""
    for task in tasks:
        match task.payload:
            case RedriveRequested():
                await _redrive(connection, blobs, task)
            case DiscardRequested():
                await _discard(connection, task)
            case ResumeRequested():
                await resume(connection, blobs, task)


@dataclass
class _Outcome:
    """What an order comes to: rows to write. `closed` are letters by id with their new state."""

    waiting: list[dict[str, Any]] = field(default_factory=list)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    closed: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)

    def note(self, letter: Letter, task: Task, action: Action, *, run: int | None = None, reason: str = "") -> None:
        """Say what was done about a letter, and close it unless that was nothing."""
        payload = task.payload
        assert isinstance(payload, RedriveRequested | DiscardRequested)
        edits, by = {}, payload.by
        if isinstance(payload, RedriveRequested):
            edits = payload.edits.model_dump(mode="json", exclude_defaults=True)
        told = {"letter": str(letter.id), "tenant": letter.tenant, "action": action, "by": by}
        self.audit.append(told | {"run": run, "reason": reason, "edits": edits})
        if action != "refused":
            self.closed.append(
                {"letter": str(letter.id), "state": "discarded" if action == "discarded" else "redriven"}
            )

    async def write(self, connection: AsyncConnection) -> None:
        """Write it all."""
        await bulk(connection, letters.ENQUEUE, self.waiting)
        await bulk(connection, statements.ANNOUNCE, [row | {"place": place} for place, row in enumerate(self.outbox)])
        await bulk(connection, letters.CLOSE, self.closed)
        await bulk(connection, letters.NOTE, self.audit)


async def _discard(connection: AsyncConnection, task: Task) -> None:
    done = _Outcome()
    for letter in await _taken(connection, task):
        done.note(letter, task, "discarded")
    await done.write(connection)


async def _redrive(connection: AsyncConnection, blobs: BlobStore, task: Task) -> None:
    """All letters of a job that one order names get one run, which is above all that the job has had."""
    done = _Outcome()
    taken = await _taken(connection, task)
    named = {letter.job for letter in taken if letter.job}
    jobs = {job.id: job for job in await connection.execute(letters.JOBS, {"ids": sorted(named)})}
    of_jobs: dict[str, list[Letter]] = defaultdict(list)
    for letter in taken:
        of_jobs[letter.job].append(letter)
    for job, own in of_jobs.items():
        await _redrive_job(connection, blobs, task, jobs.get(job), own, done)
    await done.write(connection)


async def _redrive_job(
    connection: AsyncConnection,
    blobs: BlobStore,
    task: Task,
    job: Row[Any] | None,
    own: Sequence[Letter],
    done: _Outcome,
) -> None:
    if reason := _stopped(job):
        for letter in own:
            done.note(letter, task, "refused", reason=reason)
        return
    assert job is not None
    pages = await _pages(connection, own)
    ways = {letter: _way(letter, job, pages.get(letter.part)) for letter in own}
    run = 0
    if {"page", "document"} & set(ways.values()):
        run = int(await connection.scalar(letters.NEXT_RUN, {"job": job.id}) or 0)
    reopened: dict[int, str] = {}
    for letter, way in sorted(ways.items(), key=lambda item: item[1] != "document"):
        if way == "superseded" or (way == "page" and letter.part in reopened) or (way != "again" and 0 in reopened):
            done.note(letter, task, "superseded", run=run or pages[letter.part].run, reason="a later run has it")
            continue
        try:
            await _send(connection, blobs, task, letter, way, run, done)
        except Refused as refusal:
            done.note(letter, task, "refused", reason=str(refusal))
            continue
        if way != "again":
            reopened[letter.part] = letter.step
        done.note(letter, task, "redriven", run=letter.run if way == "again" else run)
    if reopened and 0 not in reopened:
        done.outbox.append(pages_reopened(own[0].envelope, run, reopened))


async def _send(
    connection: AsyncConnection, blobs: BlobStore, task: Task, letter: Letter, way: str, run: int, done: _Outcome
) -> None:
    """Put the letter's record where it is to go; raises `Refused` where it cannot be made."""
    assert isinstance(task.payload, RedriveRequested)
    edits = task.payload.edits
    if way == "document":
        done.outbox.append(begun_anew(letter, edits, run))
        return
    if way == "again":
        done.waiting.append(queued(await once_more(letter, edits, blobs), letter.tenant))
        return
    record = await page_again(letter, edits, run, blobs)
    if letter.kind != "PagePrepared":  # the page was read before it came here: its new run has to know what was
        read: str | None = await connection.scalar(letters.READ, {"job": letter.job, "part": letter.part})
        done.outbox.append(await read_again(letter, record, read, blobs))
    done.waiting.append(queued(record, letter.tenant))


async def _taken(connection: AsyncConnection, task: Task) -> list[Letter]:
    payload = task.payload
    assert isinstance(payload, RedriveRequested | DiscardRequested)
    asked = {"ids": [str(letter) for letter in payload.letters], "tenant": task.envelope.tenant}
    return [Letter.of(dict(row)) for row in (await connection.execute(letters.TAKE, asked)).mappings()]


async def _pages(connection: AsyncConnection, own: Iterable[Letter]) -> Mapping[int, Row[Any]]:
    rows = [{"job": job, "part": part} for job, part in sorted({(letter.job, letter.part) for letter in own})]
    return {row.part: row for row in await bulk(connection, letters.PAGES, rows)}


def _stopped(job: Row[Any] | None) -> str:
    if job is None:
        return "the job is not known"
    if job.deleted:
        return "the document was deleted"
    if job.cancelling:
        return "the job is being cancelled"
    return _STOPPED.get(JobState(job.state), "")


def _way(letter: Letter, job: Row[Any], page: Row[Any] | None) -> str:
    """`document`: the job as a whole, as its next run. `page`: that page alone, as its next run. `again`: the very same
    record once more, where nothing came of it but the letter. `superseded`: a later run has come since.
    """
    if letter.of_document:
        return "document" if letter.run >= job.document_run and JobState(job.state) in TERMINAL else "superseded"
    if not letter.of_page or page is None:
        return "again"
    if page.run > letter.run:
        return "superseded"
    plan = PLANS.get(letter.plan)
    done = plan is not None and fate(page.kinds, needs(plan.indexes)) == "indexed"
    return "again" if done else "page"

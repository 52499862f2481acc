"""Jobs past their deadline that nobody ended are expired by the reconciler, on the ordinary way."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from schemas import topics
from schemas.codec import decode
from schemas.jobs import JobState
from schemas.records import Partition, Record
from schemas.work import Task
from sinks.overdue import Overdue
from sinks.postgres.engine import connect
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks.databases import Database, rows
from tests.sinks.events import failed, indexed, new_job, prepared, read, submitted

HOURS = 24.0


def due(task: Task, deadline: datetime | None, *, revision: int = 1, at: datetime | None = None) -> Task:
    told = {"deadline": deadline, "revision": revision, "at": at or task.envelope.at}
    return dataclasses.replace(task, envelope=task.envelope.model_copy(update=told))


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


async def expire(database: Database, *, dry: bool = False) -> int:
    engine = connect(database.sink)
    try:
        return (await Overdue(engine, HOURS).run(dry=dry))["overdue_jobs"]
    finally:
        await engine.dispose()


async def announced(database: Database, job: str) -> list[Task]:
    """What the outbox holds for the events of a job, as the projector gets it from the log."""
    found = await rows(database.admin, "SELECT * FROM outbox WHERE topic = $1 AND key = $2", topics.EVENTS.name, job)
    tasks = []
    for row in found:
        headers = tuple((name, value.encode()) for name, value in json.loads(row["headers"]))
        record = Record(Partition(row["topic"], 0), 0, 1, row["key"].encode(), row["value"].encode(), headers, 0.0)
        tasks.append(Task(*decode(record), record))
    return tasks


async def settle(database: Database, projector: Projector, reader: PostgresJobReader, job: str) -> JobState:
    """The job's state after a round, and after the relay put what it announced on the log."""
    await expire(database)
    if tasks := await announced(database, job):
        await projector.write(tasks)
    view = await reader.job("demo", job)
    assert view is not None
    return view.state


@pytest.mark.parametrize("begun", [False, True])
async def test_a_job_whose_records_are_lost_is_expired_after_its_deadline_and_keeps_what_it_has(
    database: Database, projector: Projector, reader: PostgresJobReader, begun: bool
) -> None:
    job = new_job()
    await projector.write([due(submitted(job), ago(minutes=5))])
    if begun:
        await projector.write([prepared(job, 2), read(job, 1), indexed(job, 1)])
    assert await settle(database, projector, reader, job) is JobState.EXPIRED
    view = await reader.job("demo", job)
    assert view is not None
    assert view.pages_done == begun
    assert view.finished_at is not None
    told = await announced(database, job)
    await expire(database)
    assert len(await announced(database, job)) == len(told) == 1


async def test_a_job_within_its_deadline_or_just_past_it_is_left_to_its_workers(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    for deadline in (ago(hours=-1), ago(seconds=1)):
        job = new_job()
        await projector.write([due(submitted(job), deadline)])
        assert await settle(database, projector, reader, job) is JobState.QUEUED


async def test_a_job_of_a_release_without_deadlines_has_that_of_the_settings(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    old, young = new_job(), new_job()
    await projector.write([due(submitted(old), None, revision=micros(ago(hours=25)))])
    await projector.write([due(submitted(young), None, revision=micros(ago(hours=23)))])
    assert await settle(database, projector, reader, old) is JobState.EXPIRED
    assert await settle(database, projector, reader, young) is JobState.QUEUED


async def test_a_job_that_ended_is_never_expired(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = new_job()
    done = [due(submitted(job), ago(hours=5)), prepared(job, 1), read(job, 1), indexed(job, 1)]
    await projector.write(done)
    assert await settle(database, projector, reader, job) is JobState.SUCCEEDED
    assert await announced(database, job) == []


async def test_asking_often_announces_once_and_a_retry_with_a_fresh_deadline_runs(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = new_job()
    await projector.write([due(submitted(job), ago(minutes=5))])
    assert await expire(database, dry=True) >= 1
    assert await announced(database, job) == []
    await expire(database)
    await expire(database)
    [told] = await announced(database, job)
    await projector.write([told])
    await projector.write([due(submitted(job, run=2), ago(hours=-1))])
    assert await settle(database, projector, reader, job) is JobState.QUEUED
    await projector.write([told])
    assert await settle(database, projector, reader, job) is JobState.QUEUED


async def test_a_retry_that_is_overdue_in_its_turn_is_expired_too(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = new_job()
    await projector.write([due(submitted(job), ago(minutes=5))])
    assert await settle(database, projector, reader, job) is JobState.EXPIRED
    await projector.write([due(submitted(job, run=2), ago(minutes=4))])
    assert await settle(database, projector, reader, job) is JobState.EXPIRED
    assert [task.envelope.run for task in await announced(database, job)] == [1, 2]


async def test_a_page_that_was_redriven_after_the_deadline_has_as_long_as_a_new_job(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = new_job()
    pages = [prepared(job, 2), read(job, 1), indexed(job, 1), failed(job, 2)]
    await projector.write([due(submitted(job), ago(hours=30)), *pages])
    await projector.write([due(read(job, 2, run=2), None, at=ago(minutes=1))])
    assert await settle(database, projector, reader, job) is JobState.RUNNING
    stuck = new_job()
    pages = [prepared(stuck, 2), read(stuck, 1), indexed(stuck, 1), failed(stuck, 2)]
    await projector.write([due(submitted(stuck), ago(hours=60)), *pages])
    await projector.write([due(read(stuck, 2, run=2), None, at=ago(hours=25))])
    assert await settle(database, projector, reader, stuck) is JobState.EXPIRED

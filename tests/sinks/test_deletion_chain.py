"""A deletion from the log to the disk: projector, relay and eraser as processes on real servers."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from producers import provisioning
from producers.publisher import KafkaPublisher
from schemas import topics
from schemas.broker import Broker
from schemas.codec import encode
from schemas.work import Task
from sinks.blobs import open_blobs
from tests.sinks import events
from tests.sinks.databases import Database, fresh
from tests.support import environment, read, until


@pytest.fixture
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
def workers(kafka: Broker, database: Database, tmp_path: Path) -> Iterator[None]:
    """The three sinks, ended with the test."""
    provisioning.apply(kafka, dev=True)
    children = []
    for name in ("projector", "relay", "eraser"):
        env = os.environ | environment(kafka) | {
            "HEADRACE_POSTGRES": database.sink, "HEADRACE_BLOBS": (tmp_path / "blobs").as_uri(), "HEADRACE_DEV": "true",
            "HEADRACE_SLOT": f"{name}-1", "HEADRACE_RUN_DIR": str(tmp_path),
        }  # fmt: skip
        with (tmp_path / f"{name}.log").open("wb") as log:
            argv = [sys.executable, "-m", "sinks.worker", name]
            children.append(subprocess.Popen(argv, env=env, stdout=log, stderr=log))
    yield
    for child in children:
        child.kill()
        child.wait()


async def publish(broker: Broker, *tasks: Task) -> None:
    publisher = KafkaPublisher(broker)
    records = [encode(task.record.partition.topic, task.envelope, task.payload) for task in tasks]
    await publisher.publish(records)
    await publisher.close()


@pytest.mark.usefixtures("workers")
def test_the_bytes_of_a_deleted_document_leave_the_disk_even_of_a_job_that_is_cancelled_and_past_its_deadline(
    kafka: Broker, tmp_path: Path
) -> None:
    name, job, other = events.new_job(), events.new_job(), events.new_job()
    blobs = open_blobs((tmp_path / "blobs").as_uri())
    keys = [f"demo/{owner}/{key}" for owner in (job, other) for key in ("source", "pages/1/00001.png")]
    for key in keys:
        blobs.put(key, b"x")
    late = {"deadline": datetime.now(UTC) - timedelta(hours=1)}
    [submission] = events.about(name, 10, events.submitted(job))
    submission = replace(submission, envelope=submission.envelope.model_copy(update=late))
    asyncio.run(publish(kafka, submission, events.dropped(name, 10), events.submitted(other)))

    def left() -> list[str]:
        files = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
        return sorted(str(path.relative_to(tmp_path / "blobs")) for path in files)

    until(lambda: left() == sorted(keys[2:]), 60, f"the bytes are erased:\n{(tmp_path / 'eraser.log').read_text()}")
    stopped = {message.key().decode() for message in read(kafka, topics.CONTROL.name)}
    assert stopped & {job, other} == {job}
    told = [message for message in read(kafka, topics.RESULTS.name) if message.key() == f"demo/{name}".encode()]
    assert [dict(message.headers())["ce_type"] for message in told] == [b"headrace.DocumentDeleted.v1"]

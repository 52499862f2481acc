"""Sweeps take what nothing can name any more, and nothing at all where the projector has not passed it."""

import os
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.lifetimes import lifetimes
from schemas.ports import BlobStore
from schemas.records import Partition
from schemas.topics import DOCUMENTS, EVENTS, JOBS
from sinks.blob_sweep import BlobSweep
from sinks.blobs import open_blobs
from sinks.postgres.engine import connect
from sinks.projector import Projector
from sinks.sweeps import RowSweep
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh, rows

LIVES = lifetimes(90)
NOW = datetime.now(UTC)
LONG_AGO = NOW - LIVES.named - timedelta(days=2)
HEX = "ab" * 16
PLACES = [Partition(topic.name, number) for topic in (JOBS, EVENTS, DOCUMENTS) for number in range(topic.partitions)]


@pytest.fixture
def database(postgres: str) -> Database:
    """One of its own: a sweep goes over everything."""
    return fresh(postgres)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(folder: Path) -> BlobStore:
    return open_blobs(folder.as_uri())


async def caught_up(database: Database, at: datetime, places: list[Partition] = PLACES) -> None:
    """The projector has stored all before this moment."""
    projector = Projector(database.sink, NO_FAILPOINTS)
    await projector.idle(at.timestamp(), places)
    await projector.close()


async def sweep(database: Database, blobs: BlobStore | None = None, *, dry: bool = False) -> Counter[str]:
    engine = connect(database.sink)
    try:
        found = await RowSweep(engine, LIVES).run(dry=dry)
        if blobs is not None:
            found += await BlobSweep(engine, blobs, LIVES).run(dry=dry)
        return +found
    finally:
        await engine.dispose()


def put(blobs: BlobStore, folder: Path, key: str, at: datetime) -> str:
    blobs.put(key, b"x")
    os.utime(folder / key, (at.timestamp(), at.timestamp()))
    return key


def kept(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def insert(database: Database, table: str, columns: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join(f"${number + 1}" for number in range(len(columns)))
    await rows(database.admin, f"INSERT INTO {table} ({names}) VALUES ({marks})", *columns.values())


async def job(database: Database, name: str, **columns: Any) -> str:
    told = {"id": name, "tenant": "demo", "document_id": name, "revision": 1, "plan": "p", "lane": "bulk"}
    told |= {"data_class": "internal", "pipeline": "document", "state": "succeeded", **columns}
    await insert(database, "jobs", told)
    return name


async def old_rows(database: Database) -> None:
    await rows(database.admin, "INSERT INTO inbox VALUES ('projector', $1, $2)", uuid.uuid4(), LONG_AGO)
    await job(database, "job_gone", deleted=True, finished_at=LONG_AGO)
    columns = "job, part, kind, tenant, run, ce_id, at"
    query = f"INSERT INTO parts ({columns}) VALUES ('job_gone', 0, 'prepared', 'demo', 1, $1, $2)"
    await rows(database.admin, query, uuid.uuid4(), LONG_AGO)
    query = "INSERT INTO trails VALUES ('job_gone', 0, 1, 'prepared', 'demo', $1, '[]')"
    await rows(database.admin, query, uuid.uuid4())
    await job(database, "job_done", finished_at=NOW - timedelta(days=3))
    values = "'job_done', $1, 'demo', 'bulk', 1, 32"
    query = f"INSERT INTO waiting_slices (job, run, tenant, lane, first, last) VALUES ({values})"
    for run in (1, 2):
        await rows(database.admin, query, run)


async def test_a_projector_that_stands_still_or_was_never_there_keeps_everything(
    database: Database, blobs: BlobStore, folder: Path
) -> None:
    await old_rows(database)
    everything = {
        put(blobs, folder, key, LONG_AGO)
        for key in (f"demo/{HEX}/source", "demo/job_x/records/a-1", f"demo/{HEX}/source.{HEX}.draft")
    }
    for through, places in ((None, []), (NOW, PLACES[:-1]), (LONG_AGO, PLACES)):
        await rows(database.admin, "DELETE FROM projection")
        if through is not None:
            await caught_up(database, through, places)
        assert await sweep(database, blobs) == Counter()
        assert kept(folder) == everything


async def test_old_rows_go_a_thousand_at_a_time_and_young_ones_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old_rows(database)
    query = "INSERT INTO inbox SELECT 'projector', gen_random_uuid(), $1 FROM generate_series(1, 2500)"
    await rows(database.admin, query, LONG_AGO)
    await rows(database.admin, query, NOW - timedelta(days=1))
    await job(database, "job_kept", deleted=True, finished_at=NOW - timedelta(days=30))
    await caught_up(database, NOW)
    assert (await sweep(database, dry=True))["inbox_rows"] == 1000
    assert await sweep(database) == Counter(inbox_rows=2501, waiting_rows=1, jobs_of_deleted_documents=1)
    assert await sweep(database) == Counter()
    assert await rows(database.admin, "SELECT FROM parts UNION ALL SELECT FROM trails") == []
    assert [row["id"] for row in await rows(database.admin, "SELECT id FROM jobs ORDER BY id")] == [
        "job_done",
        "job_kept",
    ]
    assert (await rows(database.admin, "SELECT count(*) FROM inbox"))[0][0] == 2500


async def test_bytes_go_that_no_job_record_or_dead_letter_names(
    database: Database, blobs: BlobStore, folder: Path
) -> None:
    await caught_up(database, NOW)
    await job(database, "job_old", finished_at=LONG_AGO, source_key=f"demo/{'cd' * 16}/source")
    await job(database, "job_new", finished_at=NOW - timedelta(days=1))
    await job(database, "job_runs", state="running")
    await job(database, "job_letter", finished_at=LONG_AGO)
    letter = {"id": uuid.uuid4(), "at": NOW - timedelta(days=1), "job": "job_letter", "headers": "[]"}
    letter |= dict.fromkeys(("tenant", "told_tenant", "document_id", "plan", "kind", "step", "code", "detail"), "x")
    letter |= {"cause": "x", "topic": "x"} | dict.fromkeys(("run", "part", "attempt", "partition", "offset"), 1)
    await insert(database, "dead_letters", letter)
    stay = {
        put(blobs, folder, key, LONG_AGO)
        for key in (
            f"demo/{'cd' * 16}/source", "demo/job_old/pages/1/00001.png", "demo/job_new/records/a-1",
            "demo/job_runs/records/a-1", "demo/job_letter/records/a-1",
        )
    }  # fmt: skip
    young = NOW - timedelta(days=1, hours=-1)
    stay |= {
        put(blobs, folder, key, young)
        for key in (f"demo/{HEX}/source.{HEX}.draft", f"demo/{'ef' * 16}/source", "dead-letters/" + "1" * 64)
    }
    go = {
        put(blobs, folder, key, LONG_AGO)
        for key in (
            f"demo/{HEX}/source", f"demo/{HEX}/other.{HEX}.draft", "demo/job_old/records/a-1",
            "demo/job_none/records/a", "demo/job_none/pages/1/00001.png", "dead-letters/" + "2" * 64,
        )
    }  # fmt: skip
    assert sum((await sweep(database, blobs, dry=True)).values()) == len(go)
    assert kept(folder) == stay | go
    assert await sweep(database, blobs) == Counter(
        uploads_of_no_job=1, drafts=1, bytes_of_records=2, bytes_of_no_job=1, bytes_of_dead_letters=1
    )
    assert kept(folder) == stay

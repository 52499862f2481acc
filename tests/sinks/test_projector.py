"""The projector on a real PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asyncpg import Record

from schemas import topics
from schemas.errors import DependencyDown, RecordError
from schemas.failpoints import Failpoints, Window
from schemas.records import Partition
from sinks.postgres import statements
from sinks.postgres.engine import connect
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import events, told
from tests.sinks.databases import NO_FAILPOINTS, Database, fresh, rows


async def test_a_job_is_queued_then_running_then_succeeded(projector: Projector, reader: PostgresJobReader) -> None:
    job = events.new_job()
    states = []
    for batch in (
        [events.submitted(job)],
        [events.prepared(job, 2), events.read(job, 1)],
        [events.read(job, 2), events.indexed(job, 2)],
        [events.indexed(job, 1)],
    ):
        await projector.write(batch)
        view = await reader.job("demo", job)
        assert view is not None
        states.append((view.state, view.pages_done))
    assert states == [("queued", 0), ("running", 0), ("running", 1), ("succeeded", 2)]


async def test_a_page_that_was_read_but_is_in_no_index_does_not_end_its_job(
    projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.submitted(job), events.prepared(job, 1), events.read(job, 1)])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.pages[0].state, view.finished_at) == ("running", "read", None)


async def test_any_event_makes_a_stub_that_the_submission_fills_in_later(
    projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.read(job, 3)])
    stub = await reader.job("demo", job)
    assert stub is not None
    assert (stub.state, stub.filename, stub.created_at, [page.page for page in stub.pages]) == (
        "running",
        None,
        None,
        [3],
    )
    submission = events.submitted(job)
    await projector.write([submission])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.filename, view.created_at) == ("a.pdf", submission.envelope.at)


async def test_a_job_with_failed_pages_is_partial_and_names_them(
    projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.prepared(job, 2), events.read(job, 1), events.indexed(job, 1), events.failed(job, 2)])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, [page.state for page in view.pages]) == ("partial", ["indexed", "failed"])
    assert [(error.page, error.code) for error in view.errors] == [(2, "decode_failed")]
    assert view.finished_at == events.failed(job, 2).envelope.at


@pytest.mark.parametrize(("reason", "state"), [("cancelled", "cancelled"), ("expired", "expired")])
async def test_skipped_parts_end_the_job_by_their_reason(
    projector: Projector, reader: PostgresJobReader, reason: str, state: str
) -> None:
    whole, pages = events.new_job(), events.new_job()
    await projector.write([events.submitted(whole), events.skipped(whole, 0, reason)])
    await projector.write([events.prepared(pages, 2), events.skipped(pages, 1, reason)])
    waiting = await reader.job("demo", pages)
    await projector.write([events.read(pages, 2), events.indexed(pages, 2)])
    ends = [await reader.job("demo", job) for job in (whole, pages)]
    assert waiting is not None
    assert (waiting.state, waiting.cancelling) == ("running", reason == "cancelled")
    assert [(end.state, end.cancelling) for end in ends if end is not None] == [(state, False)] * 2


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
async def test_a_job_finished_when_its_pages_came_to_their_fate_whatever_is_heard_of_them_since(
    projector: Projector, reader: PostgresJobReader, order: tuple[int, ...]
) -> None:
    job = events.new_job()
    end = events.failed(job, 1)
    minute = {"at": end.envelope.at + timedelta(minutes=1)}
    later = [
        replace(task, envelope=task.envelope.model_copy(update=minute))
        for task in (events.read(job, 1), events.indexed(job, 1, index="weaviate"))
    ]
    await projector.write([events.prepared(job, 1)])
    for number in order:
        await projector.write([[end, *later][number]])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.finished_at) == ("failed", end.envelope.at)


async def test_one_end_makes_one_outbox_event_however_often_it_is_told(
    database: Database, projector: Projector
) -> None:
    job = events.new_job()
    history = [events.submitted(job), events.prepared(job, 1), events.read(job, 1), events.indexed(job, 1)]
    for batch in (history, history, [*history, *history], [events.failed(job, 1)]):
        await projector.write(batch)
    assert await told.ends(database.admin, job) == [("succeeded", 1)]
    assert await told.pages(database.admin, job) == [(1, 1, "succeeded")]


async def test_a_result_of_a_lower_run_never_replaces_a_higher_one(
    projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.prepared(job, 1, run=2), events.read(job, 1, run=2)])
    await projector.write([events.read(job, 1, run=1), events.failed(job, 1, run=1)])
    result, view = await reader.result("demo", job), await reader.job("demo", job)
    assert result is not None
    assert view is not None
    assert [page.text for page in result.pages] == ["page 1 run 2"]
    assert (view.state, view.run, view.errors) == ("running", 2, [])
    assert [page.state for page in view.pages] == ["read"]


async def test_a_copy_that_fares_otherwise_changes_no_end(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.submitted(job), events.prepared(job, 2), events.read(job, 1), events.indexed(job, 1)])
    await projector.write([events.failed(job, 2)])
    await projector.write([events.read(job, 2), events.indexed(job, 2)])
    view = await reader.job("demo", job)
    assert view is not None
    assert view.state == "partial"
    assert await told.ends(database.admin, job) == [("partial", 1)]


async def test_a_retry_reopens_a_failed_job_under_its_next_run_and_announces_the_second_end(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.submitted(job), events.failed(job, 0)])
    await projector.write([events.submitted(job, run=2)])
    reopened = await reader.job("demo", job)
    await projector.write([events.failed(job, 0, run=2)])
    ended = await reader.job("demo", job)
    assert reopened is not None
    assert ended is not None
    assert (reopened.state, reopened.run, reopened.finished_at, reopened.errors) == ("queued", 2, None, [])
    assert (ended.state, ended.run) == ("failed", 2)
    assert await told.ends(database.admin, job) == [("failed", 1), ("failed", 2)]


async def test_characters_that_postgresql_refuses_are_replaced(projector: Projector, reader: PostgresJobReader) -> None:
    job = events.new_job()
    page = events.read(job, 1, text="a\x00b")
    await projector.write([events.submitted(job, filename="x\x00.pdf"), page])
    result, view = await reader.result("demo", job), await reader.job("demo", job)
    assert result is not None
    assert view is not None
    assert (result.pages[0].text, view.filename) == ("a\ufffdb", "x\ufffd.pdf")


class _Failing(Failpoints):
    def reach(self, window: Window, at: str) -> None:
        raise DependencyDown("the power went")


async def test_a_batch_that_breaks_before_its_commit_leaves_nothing_and_is_written_again(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    batch = [events.submitted(job), events.prepared(job, 1), events.read(job, 1), events.indexed(job, 1)]
    breaking = Projector(database.sink, _Failing("projector-1", None))
    with pytest.raises(DependencyDown):
        await breaking.write(batch)
    await breaking.close()
    assert await reader.job("demo", job) is None
    await projector.write(batch)
    view = await reader.job("demo", job)
    assert view is not None
    assert view.state == "succeeded"


async def test_a_record_that_is_no_event_is_refused_as_a_record(projector: Projector) -> None:
    with pytest.raises(RecordError):
        await projector.write([events.embedded(events.new_job(), 1, [])])


ABOUT_A_JOB = ("jobs", "parts", "results", "trails", "job_events", "documents", "outbox")


async def _all_of(database: Database, job: str) -> list[list[Record]]:
    """Every row about a job, whosever it is."""
    queries = (f"SELECT * FROM {table} WHERE {'id' if table == 'jobs' else 'job'} = $1" for table in ABOUT_A_JOB)
    return [await rows(database.admin, query, job) for query in queries]


async def test_a_record_whose_header_names_another_tenant_than_its_job_s_is_refused_and_changes_no_row(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job, neighbour = events.new_job(), events.new_job()
    await projector.write([events.submitted(job), events.prepared(job, 2), events.read(job, 1), events.read(job, 2)])
    await projector.write([events.indexed(job, 2)])
    before = await _all_of(database, job)
    said = (
        events.read(job, 2, run=2, text="planted"), events.indexed(job, 1), events.failed(job, 1),
        events.skipped(job, 1), events.skipped(job, 0), events.cancel(job), events.reopened(job, 1, run=2),
        events.prepared(job, 1, run=2), events.submitted(job, run=2, filename="planted.pdf"),
    )  # fmt: skip
    for task in said:
        forged = replace(task, envelope=task.envelope.model_copy(update={"tenant": "other"}))
        for batch in ([forged], [events.submitted(neighbour), forged]):
            with pytest.raises(RecordError, match="another tenant"):
                await projector.write(batch)
    assert await _all_of(database, job) == before
    for asked in (reader.job("other", job), reader.result("other", job), reader.document("other", f"doc-{job}")):
        assert await asked is None
    assert await reader.events("other", job, 0, 100) == []
    await projector.write([events.indexed(job, 1)])
    assert await told.ends(database.admin, job) == [("succeeded", 1)], "the true event was not taken for a repeat"


async def test_a_number_that_no_column_holds_is_the_records_fault_and_the_rest_of_its_batch_is_not_written(
    projector: Projector, reader: PostgresJobReader
) -> None:
    good, bad = events.new_job(), events.new_job()
    with pytest.raises(RecordError):
        await projector.write([events.submitted(good), events.failed(bad, 2**31)])
    assert await reader.job("demo", good) is None


async def test_a_server_that_is_not_there_is_a_dependency_that_is_down(unused_tcp_port: int) -> None:
    away = Projector(f"postgresql://headrace_sink:sink@127.0.0.1:{unused_tcp_port}/postgres", NO_FAILPOINTS)
    with pytest.raises(DependencyDown) as raised:
        await away.open()
    assert raised.value.retry_after is not None
    assert "sink@" not in str(raised.value)
    with pytest.raises(DependencyDown):
        await away.write([events.submitted(events.new_job())])
    await away.close()


async def test_a_wrong_password_and_a_database_without_tables_hold_instead_of_rejecting(
    postgres: str, database: Database
) -> None:
    for url in (database.sink.replace(":sink@", ":wrong@"), postgres):
        strange = Projector(url, NO_FAILPOINTS)
        with pytest.raises(DependencyDown):
            await strange.write([events.submitted(events.new_job())])
        await strange.close()


async def test_connections_that_the_server_ended_are_replaced(database: Database, projector: Projector) -> None:
    await projector.write([events.submitted(events.new_job())])
    await rows(
        database.admin,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE usename = 'headrace_sink' AND datname = current_database()",
    )
    await projector.write([events.submitted(events.new_job())])


async def test_of_two_projectors_at_once_the_later_counts_what_the_earlier_stored(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    job = events.new_job()
    await projector.write([events.prepared(job, 2), events.read(job, 1), events.indexed(job, 1)])
    other = Projector(database.sink, NO_FAILPOINTS)
    await asyncio.gather(
        projector.write([events.read(job, 2)]),
        other.write([events.indexed(job, 2)]),
    )
    await other.close()
    view = await reader.job("demo", job)
    assert view is not None
    assert view.state == "succeeded"


async def test_projected_through_is_the_low_water_of_all_partitions_and_unknown_before_all_were_read(
    postgres: str,
) -> None:
    database = await asyncio.to_thread(fresh, postgres)
    projector, reader = Projector(database.sink, NO_FAILPOINTS), PostgresJobReader(database.api)
    partitions = [Partition(topics.JOBS.name, number) for number in range(topics.JOBS.partitions)]
    assert await reader.projected_through() is None
    await projector.idle(1000.0, [Partition(topics.EVENTS.name, 0), *partitions[:-1]])
    assert await reader.projected_through() is None
    await projector.idle(900.0, partitions[-1:])
    assert await reader.projected_through() == datetime.fromtimestamp(900, UTC)
    await projector.idle(1100.0, partitions)
    await projector.idle(1050.0, partitions)
    assert await reader.projected_through() == datetime.fromtimestamp(1100, UTC)
    late = events.submitted(events.new_job())
    await projector.write([replace(late, record=replace(late.record, partition=partitions[0], offset=6, at=2000.0))])
    query = "SELECT next_offset, through FROM projection WHERE partition = 0 ORDER BY topic"
    found = [tuple(row) for row in await rows(database.admin, query)]
    assert found == [(None, datetime.fromtimestamp(1000, UTC)), (7, datetime.fromtimestamp(2000, UTC))]
    assert await reader.projected_through() == datetime.fromtimestamp(1100, UTC)
    await projector.close()
    await reader.close()


async def test_projectors_that_share_jobs_and_documents_never_wait_in_a_ring(postgres: str) -> None:
    database = await asyncio.to_thread(fresh, postgres)
    writers = [Projector(database.sink, NO_FAILPOINTS) for _ in range(4)]
    jobs = [events.new_job() for _ in range(6)]
    for turn in range(1, 16):
        batches = [
            [events.submitted(job, run=turn) for job in jobs],
            [events.read(job, turn) for job in reversed(jobs)],
            [events.indexed(job, turn) for job in jobs],
            [events.dropped(f"doc-{job}", turn) for job in reversed(jobs[3:])],
        ]
        await asyncio.gather(*(writer.write(batch) for writer, batch in zip(writers, batches, strict=True)))
    for writer in writers:
        await writer.close()
    found = await rows(database.admin, "SELECT id FROM jobs WHERE deleted")
    assert {row["id"] for row in found} == set(jobs[3:])


async def test_of_two_projectors_the_later_one_counts_what_the_earlier_one_stored(
    database: Database, projector: Projector
) -> None:
    job = events.new_job()
    await projector.write([events.submitted(job), events.prepared(job, 2)])
    engine = connect(database.sink)
    async with engine.begin() as earlier:
        await earlier.execute(statements.LOCK, {"ids": [job]})
        later = asyncio.create_task(projector.write([events.read(job, 1)]))
        done, _ = await asyncio.wait({later}, timeout=0.5)
        assert not done, "it waits for the job's row"
    await later
    await engine.dispose()

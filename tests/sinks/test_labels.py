"""Metadata and tags: from the form to the job's row, its lists, its end's event, and away with its document."""

import json
from dataclasses import replace

import pytest

from api import uploads
from schemas.documents import DocumentDropped, JobSubmitted
from schemas.jobs import JobQuery
from schemas.results import JobEnded
from schemas.work import Task
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.api.test_submit import PDF, form, part, post
from tests.fakes import World
from tests.sinks import events, told
from tests.sinks.databases import Database

METADATA, TAGS = {"order": "7", "käse": "a \" ' \\ b"}, ("archive", "2026")


def _submitted(job: str, **labels: object) -> Task:
    task = events.submitted(job)
    assert isinstance(task.payload, JobSubmitted)
    return replace(task, payload=task.payload.model_copy(update=labels))


async def test_what_a_caller_writes_goes_with_the_submission() -> None:
    world = World()
    fields = (part("metadata", json.dumps(METADATA).encode()), part("tags", b" archive, 2026,archive,"))
    assert (await post(world, form(*fields, part("file", PDF, "a.pdf")))).status_code == 202
    payload = JobSubmitted.model_validate_json(world.publisher.published[0].value or b"")
    assert (payload.metadata, payload.tags) == (METADATA, TAGS)


@pytest.mark.parametrize(
    ("name", "value", "pointer"),
    [
        ("metadata", json.dumps({f"k{number}": "v" for number in range(17)}), "/metadata"),
        ("metadata", json.dumps({"k" * 65: "v"}), "/metadata"),
        ("metadata", json.dumps({"k": "v" * 513}), "/metadata/k"),
        ("metadata", json.dumps({"": "v"}), "/metadata"),
        ("metadata", '{"a": "1", "a": "2"}', "/metadata"),
        ("metadata", '{"a": 1}', "/metadata/a"),
        ("metadata", '{"a": "\\u0000"}', "/metadata/a"),
        ("metadata", '{"a": "\\ud800"}', "/metadata/a"),
        ("metadata", '["a"]', "/metadata"),
        ("metadata", "[" * 20_000, "/metadata"),
        ("metadata", "{", "/metadata"),
        ("tags", ",".join(f"t{number}" for number in range(17)), "/tags"),
        ("tags", "t" * 65, "/tags/0"),
        ("tags", "a,\x07", "/tags/1"),
    ],
)
async def test_what_is_too_much_or_no_text_is_refused_with_its_place(name: str, value: str, pointer: str) -> None:
    world = World()
    answer = await post(world, form(part(name, value.encode()), part("file", PDF, "a.pdf")))
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)
    assert not world.blobs.kept
    assert not world.publisher.published


def test_the_longest_that_is_allowed_fits_into_its_field() -> None:
    most = {chr(0x1F600 + number) * 64: "\U0001f600" * 512 for number in range(16)}
    assert uploads.SubmitFields.model_validate({"metadata": json.dumps(most, ensure_ascii=False)}).metadata == most
    assert len(json.dumps(most, ensure_ascii=False).encode()) < 40 * 1024


async def test_they_stand_on_the_job_in_lists_and_in_its_end_s_event(database: Database, projector: Projector) -> None:
    job, other = events.new_job(), events.new_job()
    await projector.write([_submitted(job, metadata=METADATA, tags=TAGS), events.prepared(job, 1)])
    await projector.write([_submitted(other), *(make(job, 1) for make in (events.read, events.indexed))])
    reader = PostgresJobReader(database.api)
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.metadata, view.tags) == (METADATA, TAGS)
    bare = await reader.job("demo", other)
    assert bare is not None
    assert (bare.metadata, bare.tags) == ({}, ())
    for wanted, found in ((("archive",), [job]), (("2026", "archive"), [job]), (("archive", "none"), [])):
        listed = (await reader.jobs("demo", JobQuery(tag=wanted))).data
        assert [each.id for each in listed if each.id in (job, other)] == found
    [listed] = (await reader.jobs("demo", JobQuery(tag=("archive",), document_id=f"doc-{job}"))).data
    assert (listed.metadata, listed.tags) == (METADATA, TAGS)
    assert not (await reader.jobs("other", JobQuery(tag=("archive",)))).data
    [end] = [said.payload for said in await told.outbox(database.admin, job) if isinstance(said.payload, JobEnded)]
    assert (end.metadata, end.tags) == (METADATA, TAGS)
    await reader.close()


async def test_a_later_run_keeps_them_and_a_deleted_document_does_not(database: Database, projector: Projector) -> None:
    job = events.new_job()
    again = events.submitted(job, run=2)
    for batch in ([again], [_submitted(job, metadata=METADATA, tags=TAGS)], [again]):
        await projector.write(batch)
    reader = PostgresJobReader(database.api)
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.run, view.metadata, view.tags) == (2, METADATA, TAGS)
    dropped = events.task("", 0, DocumentDropped(reason="deleted"), document=f"doc-{job}")
    await projector.write([dropped])
    await projector.write([_submitted(job, metadata={"late": "copy"}, tags=("late",))])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.deleted, view.metadata, view.tags) == (True, {}, ())
    await reader.close()

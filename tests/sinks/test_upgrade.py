"""A database of an earlier release, upgraded while its jobs are under way."""

import asyncio

from schemas.ports import Query
from sinks.pgvector_search import PgvectorSearch
from sinks.postgres.migrate import migrate
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import events, told
from tests.sinks.databases import NO_FAILPOINTS, fresh, rows

AHEAD = tuple(events.towards(0))


async def test_passages_of_the_first_release_are_kept_and_found(postgres: str) -> None:
    database = await asyncio.to_thread(fresh, postgres, "0001")
    await rows(
        database.admin,
        "INSERT INTO chunks VALUES (gen_random_uuid(), 'demo', 'd', 1, 'j', 1, 1, 0, 'p', 'm', 'old', "
        "'{1,2,3,4}', 10, 20, CAST($1 AS text)::vector)",
        f"[{','.join(map(str, AHEAD))}]",
    )
    await asyncio.to_thread(migrate, database.admin, {})
    search = PgvectorSearch(database.api)
    [hit] = await search.search("demo", Query("", AHEAD, limit=1))
    assert (hit.text, hit.box, hit.boxes, hit.language, hit.image_width) == ("old", (1, 2, 3, 4), [], "", 10)
    await search.close()


async def test_a_job_that_the_release_before_began_ends_in_this_one(postgres: str) -> None:
    database = await asyncio.to_thread(fresh, postgres, "0002")
    job, history = events.new_job(), 2
    begun = [events.submitted(job), events.prepared(job, 1), events.read(job, 1), events.indexed(job, 1)]
    await rows(
        database.admin,
        "INSERT INTO jobs (id, tenant, state, document_id, revision, plan, lane, data_class, pipeline, filename, "
        "source_key, created_at) VALUES ($1, 'demo', 'running', $2, 1, $3, 'bulk', 'internal', 'document', 'a.pdf', "
        "'demo/x/source', now())",
        job, begun[0].envelope.document, begun[0].envelope.plan,
    )  # fmt: skip
    for task, kind, pages in zip(begun[:history], ("submitted", "prepared"), (None, 1), strict=True):
        await rows(
            database.admin,
            "INSERT INTO parts (job, part, kind, tenant, run, ce_id, at, pages) "
            "VALUES ($1, 0, $2, 'demo', 1, $3, $4, $5)",
            job, kind, task.envelope.id, task.envelope.at, pages,
        )  # fmt: skip
    await asyncio.to_thread(migrate, database.admin, {})
    projector, reader = Projector(database.sink, NO_FAILPOINTS), PostgresJobReader(database.api)
    await projector.write(begun[history:])
    view = await reader.job("demo", job)
    assert view is not None
    assert (view.state, view.filename, view.pages_done) == ("succeeded", "a.pdf", 1)
    assert await told.ends(database.admin, job) == [("succeeded", 1)]
    assert [event for _, event, _ in await told.story(database.admin, job)][-1] == "job.succeeded"
    await projector.close()
    await reader.close()

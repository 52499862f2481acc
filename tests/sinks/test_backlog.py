"""What of a job waits to be released, as its own tenant may see it."""

from schemas.ports import Backlog
from sinks.postgres.reader import PostgresJobReader
from sinks.projector import Projector
from tests.sinks import events
from tests.sinks.databases import Database, rows

_WAIT = """INSERT INTO waiting_jobs (job, run, tenant, lane, accepted, headers, value, released)
    VALUES ($1, 1, $2, $3, to_timestamp($4), '[]', '', $5)"""


async def test_a_job_stands_behind_its_own_tenants_earlier_jobs_of_its_lane(
    database: Database, projector: Projector, reader: PostgresJobReader
) -> None:
    tenant = f"t{events.new_job()[4:]}"
    first, second, third, fourth, other, foreign = (events.new_job() for _ in range(6))
    for job, pages in ((first, 100), (second, 7)):
        await projector.write([events.submitted(job, tenant=tenant), events.prepared(job, pages, tenant=tenant)])
    waiting = [(first, tenant, "bulk", 1, 32), (second, tenant, "bulk", 2, 0), (third, tenant, "bulk", 3, 0)]
    waiting.append((fourth, tenant, "bulk", 4, 0))
    for row in (*waiting, (other, tenant, "interactive", 0, 0), (foreign, "another", "bulk", 0, 0)):
        await rows(database.admin, _WAIT, *row)
    found = [await reader.backlog(tenant, job) for job, *_ in waiting]
    assert found[0] == Backlog("bulk", 0, 68, counted=True)
    assert found[1] == Backlog("bulk", 68, 7, counted=True)
    assert found[2] == Backlog("bulk", 69, 1, counted=False, uncounted_ahead=1), "what has not begun is not looked up"
    assert found[3] == Backlog("bulk", 70, 1, counted=False, uncounted_ahead=2)
    assert await reader.backlog(tenant, other) == Backlog("interactive", 0, 1, counted=False)
    assert await reader.backlog(tenant, foreign) is None
    assert await reader.backlog(tenant, "job_unknown") is None

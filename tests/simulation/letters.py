"""The statements of dead letters, redrives and resumes, said in Python over the tables in memory."""

import base64
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from sinks import resumes
from sinks.postgres import letters as sql
from tests.simulation.database import Connection, Found, Statement, rowed
from tests.simulation.postgres import current
from tests.simulation.waiting import wait

Row = dict[str, Any]
Given = Mapping[str, Any]


async def store(connection: Connection, given: Given) -> Found:
    for row in sorted(from_json(given["rows"]), key=lambda row: row["id"]):
        key = (row["id"],)
        await connection.lock("dead_letters", key)
        if connection.get("dead_letters", key) is None:
            own = {name: None if row[name] is None else base64.b64decode(row[name]) for name in ("key", "value")}
            kept = row | own | {"id": uuid.UUID(row["id"]), "at": datetime.fromisoformat(row["at"]), "state": "open"}
            connection.put("dead_letters", key, kept | {"tenant": _owner(connection, row)})
    return Found()


def _owner(connection: Connection, row: Row) -> str:
    job = connection.get("jobs", (row["job"],))
    return row["told_tenant"] if job is not None and job["tenant"] == row["told_tenant"] else ""


async def adopt(connection: Connection, given: Given) -> Found:
    for key, row in list(connection.rows("dead_letters")):
        if not row["tenant"] and (owner := _owner(connection, row)):
            await connection.lock("dead_letters", key)
            connection.put("dead_letters", key, row | {"tenant": owner})
    return Found()


async def nothing(connection: Connection, given: Given) -> Found:
    """Deletions are not simulated, and nobody looks at gauges."""
    return Found()


async def take(connection: Connection, given: Given) -> Found:
    found = Found()
    for name in sorted(given["ids"]):
        await connection.lock("dead_letters", (name,))
        row = connection.get("dead_letters", (name,))
        if row is not None and row["tenant"] == given["tenant"] and row["state"] == "open":
            found.append(row)
    return found


async def jobs(connection: Connection, given: Given) -> Found:
    found = Found()
    for name in given["ids"]:
        await connection.lock("jobs", (name,))
        if (row := connection.get("jobs", (name,))) is not None:
            found.append(rowed(**row, document_run=row["runs"][0]))
    return found


async def pages(connection: Connection, given: Given) -> Found:
    found = Found()
    for asked in from_json(given["rows"]):
        place = (asked["job"], asked["part"])
        rows = [row for key, row in connection.rows("parts") if key[:2] == place]
        whole = [row for key, row in connection.rows("parts") if key[:2] in (place, (asked["job"], 0))]
        run = max((row["run"] for row in whole), default=1)
        kinds = [row["kind"] for row in rows if row["run"] >= run]
        found.append(rowed(job=asked["job"], part=asked["part"], run=run, kinds=kinds))
    return found


async def read(connection: Connection, given: Given) -> str | None:
    row = connection.get("results", (given["job"], given["part"]))
    return None if row is None else row["payload"]


async def next_run(connection: Connection, given: Given) -> int:
    key = (given["job"],)
    await connection.lock("jobs", key)
    job = connection.get("jobs", key)
    assert job is not None
    highest = max(row["run"] for (name, _, _), row in connection.rows("parts") if name == given["job"])
    run: int = 1 + max(job["last_run"], job["run"], highest)
    connection.put("jobs", key, job | {"last_run": run})
    return run


async def enqueue(connection: Connection, given: Given) -> Found:
    for row in sorted(from_json(given["rows"]), key=lambda row: row["id"]):
        await wait(connection, row | {"key": row["key"].encode(), "value": base64.b64decode(row["value"])})
    return Found()


async def close(connection: Connection, given: Given) -> Found:
    for told in from_json(given["rows"]):
        row = connection.get("dead_letters", (told["letter"],))
        assert row is not None
        connection.put("dead_letters", (told["letter"],), row | {"state": told["state"]})
    return Found()


async def note(connection: Connection, given: Given) -> Found:
    for row in from_json(given["rows"]):
        connection.put("dead_letter_actions", (connection.database.next_seq(),), row)
    return Found()


async def resumed_job(connection: Connection, given: Given) -> Found:
    job = connection.get("jobs", (given["job"],))
    parts = [rows for _, part, rows in current(connection, {given["job"]}) if part == 0]
    prepared = [row["run"] for rows in parts for row in rows if row["kind"] == "prepared"]
    return Found([rowed(pages_total=job["pages_total"], prepared=prepared[0])] if job and prepared else ())


async def resumed_pages(connection: Connection, given: Given) -> Found:
    found = current(connection, {given["job"]})
    return Found(rowed(part=part, kinds=[row["kind"] for row in rows]) for _, part, rows in found if part)


async def resumed_texts(connection: Connection, given: Given) -> Found:
    rows = ((page, connection.get("results", (given["job"], page))) for page in given["pages"])
    return Found((page, row["payload"]) for page, row in rows if row is not None)


STATEMENTS: dict[str, Statement] = {
    sql.STORE.text: store,
    sql.ADOPT.text: adopt,
    sql.ERASE.text: nothing,
    sql.OPEN.text: nothing,
    sql.TAKE.text: take,
    sql.JOBS.text: jobs,
    sql.PAGES.text: pages,
    sql.READ.text: read,
    sql.NEXT_RUN.text: next_run,
    sql.ENQUEUE.text: enqueue,
    sql.CLOSE.text: close,
    sql.NOTE.text: note,
    resumes._JOB.text: resumed_job,
    resumes._PAGES.text: resumed_pages,
    resumes._READ.text: resumed_texts,
}

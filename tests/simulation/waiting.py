"""The dispatcher's statements, said in Python over the tables in memory, as `postgres` says the projector's."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from schemas.jobs import TERMINAL
from sinks.postgres import waiting_statements as sql
from tests.simulation.database import Connection, Found, Statement, rowed

Row = dict[str, Any]
Given = Mapping[str, Any]


async def keep(connection: Connection, given: Given) -> Found:
    for row in sorted(from_json(given["rows"]), key=lambda row: (row["job"], row["run"])):
        key = (row["job"], row["run"])
        await connection.lock("waiting_jobs", key)
        if connection.get("waiting_jobs", key) is None:
            mine = (row["tenant"], "interactive")
            waiting = sum((one["tenant"], one["lane"]) == mine for _, one in connection.rows("waiting_jobs"))
            beyond = row["lane"] == "interactive" and waiting >= given["allowance"]
            connection.put("waiting_jobs", key, row | {"released": 0, "lane": "bulk" if beyond else row["lane"]})
    return Found()


async def delay(connection: Connection, given: Given) -> Found:
    for row in from_json(given["rows"]):
        own = {"key": base64.b64decode(row["key"]), "value": base64.b64decode(row["value"]), "in_work": True}
        await wait(connection, row | own)
    return Found()


async def wait(connection: Connection, row: Row) -> None:
    """Insert one of `waiting_records`, where it is not known."""
    key = (str(row["id"]),)
    await connection.lock("waiting_records", key)
    if connection.get("waiting_records", key) is None:
        connection.put("waiting_records", key, {"due": connection.database.loop.now, "in_work": False} | row)


async def tidy(connection: Connection, given: Given) -> Found:
    sliced = {key[:2] for key, _ in connection.rows("waiting_slices")}
    for key, row in sorted(connection.rows("waiting_jobs")):
        job = connection.get("jobs", key[:1])
        if row["released"] and job is not None and key not in sliced and _done(row, job):
            await _drop(connection, "waiting_jobs", key)
    return Found()


def _done(row: Row, job: Row) -> bool:
    run = job["runs"][0]
    counted = run >= row["run"] and job["pages_total"] is not None and row["released"] >= job["pages_total"]
    return counted or _ended(row, job)


def _ended(row: Row, job: Row) -> bool:
    run = job["runs"][0]
    return run > row["run"] or (run == row["run"] and job["state"] in TERMINAL)


async def working(connection: Connection, given: Given) -> Found:
    found = Found()
    for key, row in sorted(connection.rows("released_jobs")):
        job = connection.get("jobs", key[:1])
        known = job is not None and job["runs"][0] >= row["run"]
        told = {"total": job["pages_total"], "settled": job["pages_settled"]} if known and job else {}
        ended = job is not None and _ended(row, job)
        found.append(rowed(**{"total": None, "settled": 0} | told, **row, whole=False, ended=ended))
    for row in found:
        if row.ended:
            await _drop(connection, "released_jobs", (row.job, row.run))
    return found


async def offers(connection: Connection, given: Given) -> Found:
    waiting = [row for _, row in connection.rows("waiting_jobs")]
    found, queue = Found(), dict[tuple[str, str], int]()
    for row in sorted(waiting, key=lambda row: (row["tenant"], row["lane"], row["accepted"], row["job"])):
        total = _left(connection, row)
        place = (row["tenant"], row["lane"])
        if (row["released"] and not total) or queue.get(place, 0) >= given["most"]:
            continue
        queue[place] = queue.get(place, 0) + 1
        found.append(rowed(**row | {"total": total}))
    return found


def _left(connection: Connection, row: Row) -> int | None:
    """How many pages a job has of which some wait; None where that is not known, or none do."""
    job = connection.get("jobs", (row["job"],))
    if not row["released"] or job is None or job["runs"][0] < row["run"]:
        return None
    total: int | None = job["pages_total"]
    return total if total is not None and total > row["released"] else None


async def records(connection: Connection, given: Given) -> Found:
    now = connection.database.loop.now
    rows = [row for _, row in connection.rows("waiting_records") if not row["in_work"] and row["due"] <= now]
    return Found(rowed(**row) for row in sorted(rows, key=lambda row: (row["due"], row["id"])))


async def decide(connection: Connection, given: Given) -> Found:
    for chosen in from_json(given["rows"]):
        key = (chosen["job"], chosen["run"])
        await connection.lock("waiting_jobs", key)
        row = connection.get("waiting_jobs", key)
        if row is None or row["released"] != chosen["first"] - 1:
            continue
        connection.put("waiting_jobs", key, row | {"released": chosen["last"], "lane": chosen["stays"]})
        await connection.lock("released_jobs", key)
        named = {"job": row["job"], "run": row["run"], "tenant": row["tenant"]}
        counted = connection.get("released_jobs", key) or named | {"interactive": 0, "bulk": 0}
        pages = counted[chosen["lane"]] + chosen["last"] - chosen["first"] + 1
        connection.put("released_jobs", key, counted | {chosen["lane"]: pages})
        piece = {name: chosen[name] for name in ("lane", "first", "last")}
        await connection.lock("waiting_slices", (*key, chosen["first"]))
        connection.put("waiting_slices", (*key, chosen["first"]), named | piece)
    return Found()


async def slices(connection: Connection, given: Given) -> Found:
    found = Found()
    for key, row in sorted(connection.rows("waiting_slices")):
        if (job := connection.get("waiting_jobs", key[:2])) is not None:
            found.append(rowed(**job | row))
    return found


async def forget_slices(connection: Connection, given: Given) -> Found:
    for row in from_json(given["rows"]):
        await _drop(connection, "waiting_slices", (row["job"], row["run"], row["first"]))
    return Found()


async def due(connection: Connection, given: Given) -> Found:
    now = connection.database.loop.now
    rows = [row for _, row in connection.rows("waiting_records") if row["in_work"] and row["due"] <= now]
    return Found(rowed(**row) for row in sorted(rows, key=lambda row: (row["due"], row["id"])))


async def named_records(connection: Connection, given: Given) -> Found:
    rows = (connection.get("waiting_records", (name,)) for name in sorted(given["ids"]))
    return Found(rowed(**row) for row in rows if row is not None)


async def forget_records(connection: Connection, given: Given) -> Found:
    for name in sorted(given["ids"]):
        await _drop(connection, "waiting_records", (name,))
    return Found()


async def next_due(connection: Connection, given: Given) -> float | None:
    dues = [row["due"] for _, row in connection.rows("waiting_records")]
    return min(dues) - connection.database.loop.now if dues else None


async def stopped(connection: Connection, given: Given) -> Found:
    now = datetime.fromtimestamp(connection.database.loop.now, UTC)
    waiting = sorted(connection.rows("waiting_jobs"))
    late = [row for _, row in waiting if row["deadline"] and datetime.fromisoformat(row["deadline"]) < now]
    found = Found(rowed(**row, reason="expired") for row in late)
    for key, row in waiting:
        job = connection.get("jobs", key[:1])
        if job and job["finished_at"] is None and (job["cancelling"] or job["deleted"]) and row["run"] <= job["run"]:
            found.append(rowed(**row, reason="cancelled"))
    return found


async def forget_jobs(connection: Connection, given: Given) -> Found:
    gone = {(row["job"], row["run"]) for row in from_json(given["rows"])}
    for key in sorted(gone):
        await _drop(connection, "waiting_jobs", key)
    for key in [key for key, _ in connection.rows("waiting_slices") if key[:2] in gone]:
        await _drop(connection, "waiting_slices", key)
    return Found()


async def counts(connection: Connection, given: Given) -> Found:
    queue: dict[tuple[str, str], list[int]] = {}
    for _, row in connection.rows("waiting_jobs"):
        job, total = connection.get("jobs", (row["job"],)), _left(connection, row)
        counted = row["released"] and job is not None and job["runs"][0] >= row["run"] and job["pages_total"]
        pages = 1 if not row["released"] else total - row["released"] if total else 0
        _count(queue, row, pages, 0 if counted else 1)
    for _, row in connection.rows("waiting_records"):
        _count(queue, row, 0 if row["in_work"] else 1, 0)
    return Found(
        rowed(tenant=tenant, lane=lane, pages=pages, uncounted=uncounted, oldest=0.0)
        for (tenant, lane), (pages, uncounted) in queue.items()
    )


async def _nothing(connection: Connection, given: Given) -> Found:
    return Found()


def _count(queue: dict[tuple[str, str], list[int]], row: Row, pages: int, uncounted: int) -> None:
    kept = queue.setdefault((row["tenant"], row["lane"]), [0, 0])
    kept[0] += pages
    kept[1] += uncounted


async def _drop(connection: Connection, table: str, key: tuple[Any, ...]) -> None:
    await connection.lock(table, key)
    if connection.get(table, key) is not None:
        connection.put(table, key, None)


STATEMENTS: dict[str, Statement] = {
    sql.KEEP.text: keep,
    sql.DELAY.text: delay,
    sql.RING.text: _nothing,
    sql.TIDY.text: tidy,
    sql.WORKING.text: working,
    sql.OFFERS.text: offers,
    sql.RECORDS.text: records,
    sql.DECIDE.text: decide,
    sql.SLICES.text: slices,
    sql.FORGET_SLICES.text: forget_slices,
    sql.DUE.text: due,
    sql.NAMED_RECORDS.text: named_records,
    sql.FORGET_RECORDS.text: forget_records,
    sql.NEXT_DUE.text: next_due,
    sql.STOPPED.text: stopped,
    sql.FORGET_JOBS.text: forget_jobs,
    sql.COUNTS.text: counts,
}

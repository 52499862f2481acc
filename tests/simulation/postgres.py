"""The statements of the projector and of the index fence, said in Python over the tables in memory.

Each function is what the SQL of the same name promises; that the SQL keeps it is tested on a real PostgreSQL.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import from_json

from schemas.jobs import ENDS
from schemas.results import INLINE_BYTES
from sinks import index_fence
from sinks.postgres import documents, statements
from tests.simulation.database import Connection, Found, Statement, rowed

Row = dict[str, Any]
_NEW_JOB: Row = {
    "state": "queued",
    "run": 1,
    "runs": [1, 0],
    "cancelling": False,
    "pages_total": None,
    "pages_settled": 0,
    "started_at": None,
    "finished_at": None,
    "deleted": False,
    "filename": None,
    "metadata": None,
    "tags": None,
    "last_event": 0,
    "last_run": 0,
    "whole": False,
}


async def remember(connection: Connection, given: Mapping[str, Any]) -> Found:
    new = Found()
    for name in sorted(map(str, given["ids"])):
        key = (given["consumer"], name)
        await connection.lock("inbox", key)
        if connection.get("inbox", key) is None:
            connection.put("inbox", key, {})
            new.append(name)
    return new


async def describe_documents(connection: Connection, given: Mapping[str, Any]) -> Found:
    for row in _rows(given, "tenant", "document_id"):
        key = (row["tenant"], row["document_id"])
        await connection.lock("documents", key)
        known = connection.get("documents", key)
        if known is None:
            connection.put("documents", key, {**row, "current": None})
            continue
        newer = (row["revision"], row["job"]) > (known["revision"], known["job"])
        if newer or row["dropped"] > known["dropped"]:
            current = known["current"]
            changed = {
                "revision": max(known["revision"], row["revision"]),
                "job": row["job"] if newer else known["job"],
                "dropped": max(known["dropped"], row["dropped"]),
                "current": current if current is not None and current > row["dropped"] else None,
            }
            connection.put("documents", key, known | changed)
    return Found()


async def describe_jobs(connection: Connection, given: Mapping[str, Any]) -> Found:
    for row in _rows(given, "id"):
        await connection.lock("jobs", (row["id"],))
        known = connection.get("jobs", (row["id"],))
        if known is None:
            connection.put("jobs", (row["id"],), _NEW_JOB | row)
        elif row["source_key"] is not None:
            kept = {name: row[name] for name in ("source_key", "source_sha256", "source_size", "filename")}
            connection.put("jobs", (row["id"],), known | kept)
    return Found()


async def lock_jobs(connection: Connection, given: Mapping[str, Any]) -> Found:
    asked = [job for job in given["ids"] if connection.get("jobs", (job,)) is not None]
    found = Found()
    for _, _, job in sorted((*_document(connection, job), job) for job in asked):
        name = _document(connection, job)
        await connection.lock("documents", name)
        await connection.lock("jobs", (job,))
        row, document = connection.get("jobs", (job,)), connection.get("documents", name)
        assert row is not None
        assert document is not None
        found.append(rowed(**row | {"dropped": row["revision"] <= document["dropped"]}))
    return found


async def store_parts(connection: Connection, given: Mapping[str, Any]) -> Found:
    for row in _rows(given, "job", "part", "kind"):
        await _keep(connection, "parts", (row["job"], row["part"], row["kind"]), row)
    return Found()


async def store_trails(connection: Connection, given: Mapping[str, Any]) -> Found:
    for row in _rows(given, "job", "part", "run", "kind"):
        await _keep(connection, "trails", (row["job"], row["part"], row["run"], row["kind"]), row)
    return Found()


async def store_results(connection: Connection, given: Mapping[str, Any]) -> Found:
    names = list(given)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*given.values(), strict=True)]
    for row in sorted(rows, key=lambda row: (row["job"], row["part"])):
        await _keep(connection, "results", (row["job"], row["part"]), row)
    return Found()


async def count(connection: Connection, given: Mapping[str, Any]) -> Found:
    settling = {row["id"]: row["settling"] for row in from_json(given["rows"])}
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for job, part, rows in current(connection, set(given["ids"])):
        kinds = tuple(sorted(row["kind"] for row in rows))
        groups[job, part == 0, kinds].append(
            {
                "run": _run(rows) or 1,
                "pages": _most(row.get("pages") for row in rows),
                "began": _least(_at(row) for row in rows if row["kind"] not in ("submitted", "cancelling")),
                "ended": _most(_at(row) for row in rows if _like(row["kind"], settling[job])),
            }
        )
    return Found(
        rowed(
            job=job,
            document=document,
            kinds=list(kinds),
            parts=len(parts),
            run=max(part["run"] for part in parts),
            repeats=sum(part["run"] - 1 for part in parts),
            pages=_most(part["pages"] for part in parts),
            began=_least(part["began"] for part in parts),
            ended=_most(part["ended"] for part in parts),
        )
        for (job, document, kinds), parts in groups.items()
    )


async def pages(connection: Connection, given: Mapping[str, Any]) -> Found:
    asked = {(row["job"], row["part"]): row for row in from_json(given["rows"])}
    found = Found()
    for job, part, rows in sorted(current(connection, {job for job, _ in asked}), key=lambda item: item[:2]):
        if (wanted := asked.get((job, part))) is None:
            continue
        kinds = [row["kind"] for row in rows]
        run = max(row["run"] for row in rows)
        failure = next((row for row in rows if row["kind"] == "failed"), {})
        result = connection.get("results", (job, part)) if set(wanted["needed"]) <= set(kinds) else None
        read = result if result is not None and result["run"] == run else None
        text = None if read is None else read["text"]
        found.append(
            rowed(
                job=job,
                part=part,
                tenant=rows[0]["tenant"],
                run=run,
                kinds=kinds,
                at=_most(_at(row) for row in rows if _like(row["kind"], wanted["settling"])),
                step=failure.get("step"),
                code=failure.get("code"),
                detail=failure.get("detail"),
                text=text if text is None or len(text.encode()) <= INLINE_BYTES else None,
                image=None if read is None else json.dumps(json.loads(read["payload"]).get("image")),
            )
        )
    return found


async def advance(connection: Connection, given: Mapping[str, Any]) -> Found:
    for row in from_json(given["rows"]):
        await connection.lock("jobs", (row["id"],))
        known = connection.get("jobs", (row["id"],))
        if known is not None:
            times = {name: _time(row[name]) for name in ("started_at", "finished_at")}
            connection.put("jobs", (row["id"],), known | row | times)
    return Found()


async def tell(connection: Connection, given: Mapping[str, Any]) -> Found:
    kept: dict[str, list[Row]] = defaultdict(list)
    told = sorted(from_json(given["rows"]), key=lambda row: (row["job"], row["place"]))
    for row in told:
        job = connection.get("jobs", (row["job"],))
        if job is None:
            continue
        seen = [connection.get("job_events", (row["job"], seq)) for seq in range(1, job["last_event"] + 1)]
        last = seen[-1] if seen else None
        late = last is not None and (row["run"] < last["run"] or (row["run"] == last["run"] and last["event"] in ENDS))
        again = any(_line(line) == _line(row) for line in seen if line is not None)
        if not late and not again:
            kept[row["job"]].append(row)
    for name, lines in kept.items():
        await connection.lock("jobs", (name,))
        job = connection.get("jobs", (name,))
        assert job is not None
        for seq, line in enumerate(lines, job["last_event"] + 1):
            connection.put("job_events", (name, seq), line)
        connection.put("jobs", (name,), job | {"last_event": job["last_event"] + len(lines)})
    return Found()


async def announce(connection: Connection, given: Mapping[str, Any]) -> Found:
    for row in sorted(from_json(given["rows"]), key=lambda row: row["place"]):
        key = (row["ce_id"],)
        await connection.lock("outbox", key)
        if connection.get("outbox", key) is None:
            place = {"xid": connection.xid, "seq": connection.database.next_seq()}
            connection.put("outbox", key, row | place)
    return Found()


async def nothing(connection: Connection, given: Mapping[str, Any]) -> Found:
    """Positions are for callers, deletions are not simulated."""
    return Found()


async def succeed(connection: Connection, given: Mapping[str, Any]) -> Found:
    for row in _rows(given, "tenant", "document_id"):
        key = (row["tenant"], row["document_id"])
        await connection.lock("documents", key)
        known = connection.get("documents", key)
        if known is not None and row["revision"] > known["dropped"]:
            connection.put("documents", key, known | {"current": max(known["current"] or 0, row["revision"])})
    return Found()


async def claim(connection: Connection, given: Mapping[str, Any]) -> Found:
    found = Found()
    for row in _rows(given, "job", "page"):
        key = (given["index"], row["job"], row["page"])
        await connection.lock("indexed_pages", key)
        known = connection.get("indexed_pages", key)
        ours = known is None or row["run"] >= known["run"]
        if ours:
            connection.put("indexed_pages", key, row)
        told = {"job": row["job"], "page": row["page"], "dropped": 0, "refused": False}
        found.append(rowed(**told, ours=ours, again=known is not None))
    return found


STATEMENTS: dict[str, Statement] = {
    statements.REMEMBER.text: remember,
    statements.DESCRIBE.text: describe_jobs,
    statements.LOCK.text: lock_jobs,
    statements.STORE_PARTS.text: store_parts,
    statements.STORE_TRAILS.text: store_trails,
    statements.STORE_RESULTS.text: store_results,
    statements.COUNT.text: count,
    statements.PAGES.text: pages,
    statements.ADVANCE.text: advance,
    statements.TELL.text: tell,
    statements.ANNOUNCE.text: announce,
    statements.POSITION.text: nothing,
    documents.DESCRIBE.text: describe_documents,
    documents.SUCCEED.text: succeed,
    index_fence._LOCK.text: nothing,
    index_fence._CLAIM.text: claim,
}


async def _keep(connection: Connection, table: str, key: tuple[Any, ...], row: Row) -> None:
    """Compare-and-set: the highest run stays, and of one run the smallest id."""
    await connection.lock(table, key)
    known = connection.get(table, key)
    if known is None or (-row["run"], row["ce_id"]) < (-known["run"], known["ce_id"]):
        connection.put(table, key, row)


def current(connection: Connection, jobs: set[str]) -> list[tuple[str, int, list[Row]]]:
    """The view `current_parts`, by job and part."""
    found: dict[tuple[str, int], list[Row]] = defaultdict(list)
    highest: dict[str, int] = {}
    for (job, part, _), row in connection.rows("parts"):
        if job in jobs:
            found[job, part].append(row)
            highest[job] = max(row["run"], highest.get(job, 0))
    runs = {place: _run(rows) for place, rows in found.items()}
    seen = []
    for (job, part), rows in sorted(found.items()):
        least = max(runs[job, part], runs.get((job, 0), 0))
        if kept := [row for row in rows if row["run"] >= (highest[job] if row["kind"] == "cancelling" else least)]:
            seen.append((job, part, kept))
    return seen


def _run(rows: list[Row]) -> int:
    """A caller's wish to cancel begins no run."""
    return max((row["run"] for row in rows if row["kind"] != "cancelling"), default=0)


def _rows(given: Mapping[str, Any], *key: str) -> list[Row]:
    return sorted(from_json(given["rows"]), key=lambda row: tuple(row[name] for name in key))


def _document(connection: Connection, job: str) -> tuple[str, str]:
    row = connection.get("jobs", (job,))
    assert row is not None
    return row["tenant"], row["document_id"]


def _line(row: Row) -> tuple[Any, ...]:
    return row["run"], row["part"], row["event"]


def _like(kind: str, patterns: list[str]) -> bool:
    return any(kind.startswith(pattern[:-1]) if pattern.endswith("%") else kind == pattern for pattern in patterns)


def _at(row: Row) -> datetime:
    return datetime.fromisoformat(row["at"])


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _most(values: Any) -> Any:
    return max((value for value in values if value is not None), default=None)


def _least(values: Any) -> Any:
    return min((value for value in values if value is not None), default=None)

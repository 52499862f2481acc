"""A job's story: the lines that a batch of events adds to it, in the order in which a caller is to read them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from schemas.documents import CancelRequested, DocumentPrepared, JobSubmitted, PageRead, PartSkipped
from schemas.envelope import Envelope
from schemas.jobs import ENDS, JobEventKind
from schemas.work import Task
from sinks.fan_in import EndedJob, EndedPage

_ORDER: dict[str, int] = {
    "job.queued": 0,
    "job.running": 1,
    "document.prepared": 2,
    "page.read": 3,
    "page.succeeded": 3,
    "page.failed": 3,
    "page.skipped": 3,
    "job.cancelling": 4,
} | dict.fromkeys(ENDS, 5)

Line = dict[str, Any]


def lines(tasks: Iterable[Task], pages: Iterable[EndedPage], ends: Iterable[EndedJob]) -> list[Line]:
    """Rows for `job_events`, each line once; `pages` and `ends` are those that came to their fate.

    Every run begins with `job.queued`, also where its submission is heard of later than its work.
    """
    found: dict[tuple[Any, ...], Line] = {}
    for line in (*_events(tasks), *map(_page, pages), *map(_end, ends)):
        known = found.setdefault((line["job"], line["run"], line["part"], line["event"]), line)
        known["at"] = min(known["at"], line["at"])
    ordered = sorted(found.values(), key=_reading_order)
    return [line | {"at": line["at"].isoformat(), "place": place} for place, line in enumerate(ordered)]


def _events(tasks: Iterable[Task]) -> Iterator[Line]:
    for task in tasks:
        envelope, payload = task.envelope, task.payload
        yield _of(envelope, "job.queued", part=0)
        if not isinstance(payload, JobSubmitted | CancelRequested | PartSkipped):
            yield _of(envelope, "job.running", part=0)
        match payload:
            case CancelRequested():
                yield _of(envelope, "job.cancelling")
            case DocumentPrepared():
                yield _of(envelope, "document.prepared", pages=payload.pages)
            case PageRead():
                yield _of(envelope, "page.read", part=envelope.part)


def _of(envelope: Envelope, event: JobEventKind, *, part: int = 0, **data: Any) -> Line:
    return _line(envelope.job, envelope.tenant, envelope.run, part, event, envelope.at, data)


def _page(page: EndedPage) -> Line:
    data = {} if page.error is None else page.error.model_dump(exclude={"page"})
    return _line(page.job, page.tenant, page.run, page.part, f"page.{page.state}", page.at, data)


def _end(end: EndedJob) -> Line:
    return _line(end.job, end.tenant, end.run, 0, f"job.{end.state}", end.at, {})


def _line(job: str, tenant: str, run: int, part: int, event: str, at: datetime, data: dict[str, Any]) -> Line:
    return {"job": job, "tenant": tenant, "run": run, "part": part, "event": event, "at": at, "data": data}


def _reading_order(line: Line) -> tuple[Any, ...]:
    return (line["job"], line["run"], _ORDER[line["event"]], line["part"], line["event"] != "page.read")

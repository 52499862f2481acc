"""Fan-in without a database: what an event says of its part, and what counted parts say of their job."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas import trail
from schemas.documents import (
    CancelRequested,
    ChunksIndexed,
    Claim,
    DocumentPrepared,
    JobSubmitted,
    PageRead,
    PagesReopened,
    PartFailed,
    PartSkipped,
)
from schemas.errors import RecordError
from schemas.jobs import Failure, JobState, Tally, fate
from schemas.work import Task

_BEFORE_WORK = frozenset({"submitted", "cancelling"})


@dataclass(frozen=True, slots=True)
class Group:
    """How many parts of a job have the same kinds of events: a row of the projector's count.

    `run` is the highest of their runs, `repeats` the sum of how far each is above the first. `document` marks part 0,
    `pages` is its count of pages. `began` is when the first of these parts was worked on, `ended` when the last of them
    came to its fate.
    """

    kinds: tuple[str, ...]
    parts: int
    run: int
    repeats: int = 0
    document: bool = False
    pages: int | None = None
    began: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndedPage:
    """A page whose fate is final in its run.

    One that succeeded has `text`, None where that is too long to pass on, and perhaps `image`; one that failed `error`.
    """

    job: str
    tenant: str
    part: int
    run: int
    state: Literal["succeeded", "failed", "skipped"]
    at: datetime
    error: Failure | None = None
    text: str | None = None
    image: Claim | None = None


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A run of a job that came to its end; `succeeded` counts pages."""

    job: str
    tenant: str
    run: int
    state: JobState
    at: datetime
    pages_total: int | None
    succeeded: int


def part_rows(task: Task) -> list[dict[str, Any]]:
    """The rows of `parts` that an event is; raises as `part_row`."""
    if not isinstance(task.payload, PagesReopened):
        return [part_row(task)]
    envelope, step = task.envelope, task.payload.step
    common = {"job": envelope.job, "kind": "reopened", "tenant": envelope.tenant, "run": envelope.run, "step": step}
    told = common | {"ce_id": str(envelope.id), "at": envelope.at.isoformat()}
    return [told | {"part": page} for page in task.payload.pages]


def part_row(task: Task) -> dict[str, Any]:
    """The row of `parts` that an event is; raises `RecordError` for a record that is no such event."""
    envelope, payload = task.envelope, task.payload
    row: dict[str, Any] = {
        "job": envelope.job,
        "part": envelope.part,
        "tenant": envelope.tenant,
        "run": envelope.run,
        "ce_id": str(envelope.id),
        "at": envelope.at.isoformat(),
    }
    match payload:
        case JobSubmitted():
            return row | {"kind": "submitted"}
        case CancelRequested():
            return row | {"kind": "cancelling"}
        case DocumentPrepared():
            return row | {"kind": "prepared", "pages": payload.pages}
        case PageRead():
            return row | {"kind": "read"}
        case ChunksIndexed():
            return row | {"kind": f"indexed:{payload.index}"}
        case PartFailed():
            return row | {"kind": "failed", "step": payload.step, "code": payload.code, "detail": payload.detail}
        case PartSkipped():
            return row | {"kind": f"skipped:{payload.reason}", "step": payload.step, "code": payload.reason}
    raise RecordError(f"{envelope.kind} is no event of a part")


def trail_rows(task: Task, parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `trails` that an event is, by its rows of `parts`: with the attempts that led to it, if it tells."""
    attempts = trail.read(task.record.headers)
    return [row | {"way": trail.packed(attempts).decode()} for row in parts] if attempts else []


def settling(needed: frozenset[str]) -> list[str]:
    """SQL patterns of the kinds that bring a part to its fate. A page is read before it is in an index."""
    return [*sorted(needed - {"read"}), "prepared", "failed", "skipped:%"]


def folded(rows: Iterable[dict[str, Any]], key: Sequence[str]) -> list[dict[str, Any]]:
    """One row a key, as the database would keep it: of the highest run, and of one run the smallest id."""
    best: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        name = tuple(row[column] for column in key)
        kept = best.get(name)
        if kept is None or (-row["run"], row["ce_id"]) < (-kept["run"], kept["ce_id"]):
            best[name] = row
    return list(best.values())


def tally(groups: Sequence[Group], needed: frozenset[str]) -> Tally:
    """Count a job's parts by their fate; `needed` are the kinds that make a page done."""
    whole = next((group for group in groups if group.document), Group((), 0, 1))
    pages = [group for group in groups if not group.document]
    counts: Counter[str] = Counter()
    for group in pages:
        counts[fate(group.kinds, needed)] += group.parts
        counts["some read"] += group.parts * ("read" in group.kinds)
        counts["expired"] += group.parts * (fate(group.kinds, needed) == "skipped" and _stop(group) == JobState.EXPIRED)
    failed, stop = "failed" in whole.kinds, _stop(whole)
    return Tally(
        # A run begins with its document: until that is heard of in it, how many pages the run has is unknown. Only a
        # page that was reopened by itself has a run that the document has not.
        pages=whole.pages if all(group.run <= whole.run or "reopened" in group.kinds for group in pages) else None,
        read=counts["some read"],
        indexed=counts["indexed"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        expired=counts["expired"],
        document_failed=failed,
        document_skipped=stop,
        begun=bool(pages) or not _BEFORE_WORK.issuperset(whole.kinds),
        # A verdict on the document is of the document's own run: stray pages of a later run do not renew it.
        runs=(whole.run, 0 if failed or stop else sum(group.repeats for group in pages)),
    )


def stopping(groups: Iterable[Group]) -> bool:
    """Whether the job is to be cancelled: its caller said so, or a part was skipped for that reason."""
    return any("cancelling" in group.kinds or _stop(group) == JobState.CANCELLED for group in groups)


def _stop(group: Group) -> JobState | None:
    """What stopped these parts; where both did, the caller's word stands above the deadline."""
    reasons = [kind for kind in group.kinds if kind.startswith("skipped:")]
    if not reasons:
        return None
    return JobState.EXPIRED if reasons == ["skipped:expired"] else JobState.CANCELLED

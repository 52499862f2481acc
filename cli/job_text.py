"""Jobs as people read them."""

from collections.abc import Iterator

from cli.listing import Listing, ago, text
from cli.output import note, plain, show
from schemas.jobs import JobEvent, JobResult, JobSummary, JobView, QueuePlace
from schemas.timeline import PartTimeline, StepAttempt


def _row(job: JobSummary) -> list[str]:
    state = "cancelling" if job.cancelling else job.state.value
    return [job.id, state, str(job.pages_total or "-"), ago(job.created_at), job.filename or "-"]


def _fields(job: JobSummary) -> list[object]:
    return [
        job.id, job.state.value, job.run, job.pages_total, job.document_id, job.created_at, job.finished_at,
        job.filename,
    ]  # fmt: skip


LISTING = Listing(("job", "state", "pages", "age", "file"), _row, _fields, frozenset({"file"}))


class PartAttempt(StepAttempt):
    """An attempt, and whose it was."""

    page: int | None
    run: int


def attempts(part: PartTimeline) -> Iterator[PartAttempt]:
    """The attempts of a part, a line each."""
    for attempt in part.attempts:
        yield PartAttempt(page=part.page, run=part.run, **attempt.model_dump())


def _attempt_row(attempt: PartAttempt) -> list[str]:
    page, began = str(attempt.page or "all"), f"{attempt.started_at.astimezone():%H:%M:%S.%f}"[:-3]
    waited, took = f"{attempt.queued_seconds:.2f} s", f"{attempt.run_seconds:.2f} s"
    count = (str(attempt.run), attempt.step, str(attempt.attempt))
    return [page, *count, began, waited, took, attempt.state, attempt.code or ""]


def _attempt_fields(attempt: PartAttempt) -> list[object]:
    return [
        attempt.page, attempt.run, attempt.step, attempt.attempt, attempt.started_at, attempt.queued_seconds,
        attempt.run_seconds, attempt.state, attempt.code,
    ]  # fmt: skip


TIMELINE = Listing(
    ("page", "run", "step", "attempt", "began", "waited", "took", "state", "code"), _attempt_row, _attempt_fields
)


def show_view(view: JobView) -> None:
    """A job in lines."""
    facts = {
        "job": view.id,
        "state": view.state.value + (" (cancelling)" if view.cancelling else ""),
        "run": view.run,
        "file": view.filename,
        "document": f"{view.document_id or '?'} (revision {view.revision or '?'})",
        "pages": f"{view.pages_done}/{view.pages_total or '?'}",
        "queue": view.queue and place(view.queue),
        "created": view.created_at,
        "started": view.started_at,
        "finished": view.finished_at,
    }
    for name, value in facts.items():
        show(f"{name:9} {plain(text(value)) or '-'}")
    for failure in view.errors:
        note(f"error: page {failure.page}: {failure.step}: {failure.code}: {plain(failure.detail)}")


def place(queue: QueuePlace) -> str:
    """Where a waiting job stands, and what is known of when its turn comes."""
    times = {"starts": queue.starts_in_seconds, "ends": queue.ends_in_seconds}
    told = (f"{name} in about {seconds:.0f} s" for name, seconds in times.items() if seconds is not None)
    return ", ".join((f"{queue.pages_ahead} pages ahead", *told))


def show_result(result: JobResult) -> None:
    """What was read: text on stdout, all else beside it."""
    for page in result.pages:
        size = "no picture, no boxes" if page.width is None else f"{page.width}x{page.height}"
        note(f"-- page {page.page} of {plain(result.document_id)} ({size})")
        for line in page.lines:
            show(plain(line.text))
    for failure in result.errors:
        note(f"error: page {failure.page}: {failure.step}: {failure.code}: {plain(failure.detail)}")


def event_line(event: JobEvent) -> str:
    """One event of a job's story on a line, its time by this machine's clock."""
    page = "" if event.page is None else f"page {event.page}"
    rest = "  ".join(f"{name} {value}" for name, value in event.data.items())
    run = f"run {event.run}" if event.run > 1 else ""
    words = "  ".join(filter(None, (page, run, rest)))
    return plain(f"{event.at.astimezone():%H:%M:%S}  {event.event:17}  {words}").rstrip()

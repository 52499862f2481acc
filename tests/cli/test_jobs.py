"""jobs list, watch, cancel and retry, documents and models: what is asked of the server, printed, and the exit code."""

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from typer.testing import Result

from cli.errors import Exit
from cli.job_orders import State
from schemas.control import LaneLoad, LoadReport
from schemas.jobs import (
    DocumentList,
    DocumentView,
    Failure,
    JobEvent,
    JobEventKind,
    JobList,
    JobQuery,
    JobState,
    JobSummary,
    JobView,
)
from schemas.ports import Backlog, Submission
from schemas.timeline import PartTimeline, StepAttempt
from tests.cli.invoking import failure, run
from tests.fakes import FakeJobs, World

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Many(FakeJobs):
    """As many jobs and documents as asked for, page by page; a cursor is the number it begins at."""

    count = 250

    async def jobs(self, tenant: str, query: JobQuery) -> JobList:
        self.asked.append(query)
        begin = int(query.after or 0)
        end = min(begin + query.limit, self.count)
        data = [
            JobSummary(
                id=f"job_{number}", state=JobState.RUNNING, document_id="d", revision=1, lane="bulk",
                filename="a\x1b[31m\tb.pdf", created_at=AT,
            )
            for number in range(begin, end)
        ]  # fmt: skip
        return JobList(data=data, has_more=end < self.count, next=str(end) if end < self.count else None)

    async def documents(self, tenant: str, after: str | None, limit: int) -> DocumentList:
        begin = int(after or 0)
        end = min(begin + limit, self.count)
        data = [
            DocumentView(document_id=f"a/b {number}", revision=7, job="job_1", state=JobState.SUCCEEDED, current=5)
            for number in range(begin, end)
        ]
        return DocumentList(data=data, has_more=end < self.count, next=str(end) if end < self.count else None)


@pytest.fixture
def many(world: World) -> Many:
    world.jobs = Many()
    return world.jobs


def test_the_states_are_those_of_a_job() -> None:
    assert [state.value for state in State] == [state.value for state in JobState]


def test_a_list_is_fetched_page_by_page_and_printed_a_line_each(many: Many, url: str) -> None:
    result = run("jobs", "list", "--limit", 230, "--url", url)
    lines = result.stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"job_{number}" for number in range(230)]
    assert lines[0].split("\t")[1:] == ["running", "1", "", "d", "2026-05-01T12:00:00.000Z", "", "a [31m b.pdf"]
    assert [query.limit for query in many.asked] == [100, 100, 30]
    assert "there are more jobs" in result.stderr


def test_a_list_for_programs_is_an_object_a_line(many: Many, url: str) -> None:
    many.count = 3
    result = run("jobs", "list", "--json", "--url", url)
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["job_0", "job_1", "job_2"]
    assert json.loads(result.stdout.splitlines()[0])["filename"] == "a\x1b[31m\tb.pdf"
    assert result.stderr == ""


def test_a_timeline_is_printed_an_attempt_a_line(world: World, url: str) -> None:
    job = world.ids.issue("demo")
    times = {"started_at": AT, "finished_at": AT, "queued_seconds": 0.5, "run_seconds": 1.25}
    failed = StepAttempt(step="ocr", attempt=1, state="retried", code="slow", **times)
    well = StepAttempt(step="ocr", attempt=2, state="succeeded", **times)
    parts = [PartTimeline(page=page, run=1, attempts=[failed, well]) for page in (1, 2)]
    world.jobs.timelines["demo", job] = parts
    lines = run("jobs", "timeline", job, "--page", 2, "--url", url).stdout.splitlines()
    assert [line.split("\t") for line in lines] == [
        ["2", "1", "ocr", "1", "2026-05-01T12:00:00.000Z", "0.5", "1.25", "retried", "slow"],
        ["2", "1", "ocr", "2", "2026-05-01T12:00:00.000Z", "0.5", "1.25", "succeeded", ""],
    ]
    told = [json.loads(line) for line in run("jobs", "timeline", job, "--json", "--url", url).stdout.splitlines()]
    assert [(each["page"], each["attempt"], each["code"]) for each in told] == [
        (1, 1, "slow"), (1, 2, None), (2, 1, "slow"), (2, 2, None),
    ]  # fmt: skip


def test_a_job_that_nothing_was_done_of_has_no_attempts_yet(world: World, url: str) -> None:
    result = run("jobs", "timeline", world.ids.issue("demo"), "--url", url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no attempts yet\n")


def test_a_list_without_jobs_says_so_beside_the_data(many: Many, url: str) -> None:
    many.count = 0
    result = run("jobs", "list", "--url", url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no jobs\n")


def test_what_a_list_is_to_hold_reaches_the_server(many: Many, url: str) -> None:
    words = ("--state", "failed", "--state", "partial", "--document", "a b", "--lane", "bulk", "--order", "finished")
    assert run("jobs", "list", *words, "--since", "2h", "--until", "2026-05-01T12:00:00Z", "--url", url).exit_code == 0
    [query, *_] = many.asked
    assert (set(query.state), query.document_id, query.lane) == ({JobState.FAILED, JobState.PARTIAL}, "a b", "bulk")
    assert (query.order, query.until) == ("finished_at", AT)
    assert query.since is not None
    assert abs(datetime.now(UTC) - query.since - timedelta(hours=2)) < timedelta(minutes=1)


@pytest.mark.parametrize("since", ["soon", "2x", "9999-99-99", "999999w", ""])
def test_a_moment_that_is_none_is_a_usage_error(url: str, since: str) -> None:
    result = run("jobs", "list", "--since", since, "--url", url)
    assert result.exit_code == Exit.USAGE
    assert "30m, 2h, 7d" in " ".join(result.stderr.split())


def _story(*kinds: JobEventKind) -> list[JobEvent]:
    return [JobEvent(seq=number, event=kind, run=1, at=AT) for number, kind in enumerate(kinds, 1)]


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_watching_ends_with_the_jobs_outcome(world: World, url: str, state: JobState) -> None:
    job = world.ids.issue("demo")
    end = next(kind for kind in get_args(JobEventKind) if kind == f"job.{state}")
    world.jobs.stories["demo", job] = _story("job.queued", "job.running", end)
    errors = [] if state is JobState.SUCCEEDED else [Failure(page=1, step="ocr", code="oops", detail="\x1b[2J")]
    world.jobs.views["demo", job] = JobView(id=job, state=state, errors=errors)
    result = run("jobs", "watch", job, "--url", url)
    assert result.exit_code == (Exit.OK if state is JobState.SUCCEEDED else Exit.FAILED)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["job.queued", "job.running", end]
    assert ("oops" in result.stderr, "\x1b" in result.output) == (bool(errors), False)
    told = run("jobs", "watch", job, "--after", 1, "--json", "--url", url).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in told] == [2, 3]


def test_who_watches_a_waiting_job_is_told_its_place(world: World, url: str) -> None:
    job = world.ids.issue("demo")
    world.jobs.stories["demo", job] = _story("job.queued")
    world.jobs.views["demo", job] = JobView(id=job, state=JobState.QUEUED)
    world.jobs.backlogs["demo", job] = Backlog("bulk", 100, 20, counted=True)
    waiting = LaneLoad(waiting={"demo": 120, "other": 30})
    world.load.newest = LoadReport(at=datetime.now(UTC), bulk=waiting, pages_per_second=10)
    told = run("jobs", "watch", job, "--timeout", 0.5, "--url", url)
    assert "queue: 130 pages ahead, starts in about 13 s, ends in about 15 s\n" in told.stderr
    lines = run("jobs", "watch", job, "--timeout", 0.5, "--json", "--url", url)
    assert "queue" not in lines.stderr


def test_watching_gives_up_after_its_timeout(world: World, url: str) -> None:
    job = world.ids.issue("demo")
    world.jobs.stories["demo", job] = _story("job.queued")
    result = run("jobs", "watch", job, "--timeout", 0.5, "--url", url)
    assert failure(result).code == Exit.TIMEOUT
    assert "job.queued" in result.stdout


def test_watching_what_is_not_there_says_so(url: str) -> None:
    assert failure(run("jobs", "watch", "job_none", "--url", url)).code == Exit.NOT_FOUND


def _submission(state: JobState) -> Submission:
    from schemas.documents import Claim
    from schemas.plans import DOCUMENT

    source = Claim(key="demo/a", sha256="0" * 64, size=1)
    return Submission(
        state=state, run=1, source=source, filename="a.pdf", document_id="d", revision=1, plan=DOCUMENT.hash,
        lane="bulk", deadline=None, deleted=False,
    )  # fmt: skip


def _in_state(world: World, state: JobState) -> str:
    job = world.ids.issue("demo")
    world.jobs.views["demo", job] = JobView(id=job, state=state)
    world.jobs.submissions["demo", job] = _submission(state)
    return job


def test_cancelling_goes_on_after_a_job_that_has_ended(world: World, url: str) -> None:
    ended, running = _in_state(world, JobState.SUCCEEDED), _in_state(world, JobState.RUNNING)
    result = run("jobs", "cancel", ended, running, "--url", url)
    assert result.stdout == f"{running}\tcancelling\n"
    assert "[job_ended]" in result.stderr
    assert "hint: " in result.stderr
    assert result.exit_code == Exit.FAILED
    assert {record.key.decode() for record in world.publisher.published} == {running}


def test_retrying_tells_the_new_run(world: World, url: str) -> None:
    failed, running = _in_state(world, JobState.FAILED), _in_state(world, JobState.RUNNING)
    assert run("jobs", "retry", failed, "--url", url).stdout == f"{failed}\trun 2\n"
    [told] = [json.loads(line) for line in run("jobs", "retry", failed, "--json", "--url", url).stdout.splitlines()]
    assert (told["run"], told["state"]) == (2, "queued")
    result = run("jobs", "retry", running, "job_none", "--url", url)
    assert "[nothing_to_retry]" in result.stderr
    assert result.exit_code == Exit.NOT_FOUND


def test_a_lost_server_ends_a_row_of_cancellations(world: World, url: str) -> None:
    jobs = [_in_state(world, JobState.RUNNING) for _ in range(2)]
    world.publisher.down = True
    assert failure(run("jobs", "cancel", *jobs, "--url", url)).code == Exit.UNREACHABLE


@pytest.mark.parametrize(("verb", "state"), [("cancel", JobState.RUNNING), ("retry", JobState.FAILED)])
def test_many_jobs_are_ordered_about_by_what_they_have_in_common(
    world: World, url: str, verb: str, state: JobState
) -> None:
    for _ in range(3):
        _in_state(world, state)
    nobody_asks = failure(run("jobs", verb, "--all", "--url", url))
    assert (nobody_asks.code, "--yes" in nobody_asks.hint) == (Exit.USAGE, True)
    assert not world.publisher.published
    result = run("jobs", verb, "--state", state.value, "--yes", "--url", url)
    assert result.stdout == "3 jobs\n", result.output
    assert len(world.publisher.published) >= 3
    told = run("jobs", verb, "--all", "--yes", "--json", "--url", url)
    assert json.loads(told.stdout) == {"taken": 3, "more": False}


@pytest.mark.parametrize("words", [[], ["job_a", "--all"], ["--tag", "a", "--all"], ["job_a", "--lane", "bulk"]])
@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_jobs_are_chosen_in_one_way(verb: str, words: list[str]) -> None:
    error = failure(run("jobs", verb, *words, "--url", "http://127.0.0.1:1"))
    assert error.code == Exit.USAGE
    assert "--all" in error.hint


def test_many_jobs_are_not_run_again_from_a_step() -> None:
    error = failure(run("jobs", "retry", "--all", "--from", "ocr", "--url", "http://127.0.0.1:1"))
    assert (error.code, "named" in str(error)) == (Exit.USAGE, True)


def test_documents_are_listed_shown_and_deleted_by_whatever_they_are_called(world: World, many: Many, url: str) -> None:
    lines = run("documents", "list", "--limit", 110, "--url", url).stdout.splitlines()
    assert len(lines) == 110
    assert lines[0].split("\t")[:4] == ["a/b 0", "7", "succeeded", "5"]
    name = "ordner/ä?#%2F b"
    many.kept["demo", name] = DocumentView(document_id=name, revision=7, job="job_1", state=JobState.FAILED)
    assert f"document  {name}\n" in run("documents", "get", name, "--url", url).stdout
    assert json.loads(run("documents", "get", name, "--json", "--url", url).stdout)["document_id"] == name
    assert failure(run("documents", "get", "none", "--url", url)).code == Exit.NOT_FOUND
    assert run("documents", "delete", name, "--yes", "--url", url).stdout == f"{name}\tdeleting\n"
    [record] = world.publisher.published
    assert record.key.decode() == f"demo/{name}"


def test_nothing_is_deleted_without_a_yes_where_nobody_can_be_asked(world: World, url: str) -> None:
    error = failure(run("documents", "delete", "d", "--url", url))
    assert (error.code, "--yes" in error.hint) == (Exit.USAGE, True)
    assert world.publisher.published == []


def test_models_of_the_server_are_listed(url: str) -> None:
    result: Result = run("models", "list", "--url", url)
    assert result.exit_code == 0, result.exception
    [line] = run("models", "list", "--json", "--url", url).stdout.splitlines()
    model = json.loads(line)
    assert result.stdout == f"{model['id']}\t{model['step']}\t{model['version']}\t{model['digest']}\n"
    refused = failure(run("models", "list", "--url", url, "--api-key", "no"))
    assert (refused.code, "request: req_" in str(refused)) == (Exit.UNAUTHORIZED, True)

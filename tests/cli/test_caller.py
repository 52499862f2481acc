"""submit, search, jobs and doctor against a served API: what is printed where, and the exit code."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from cli.client import Client, Server
from cli.errors import Exit
from deploy.local import ports
from schemas import plans
from schemas.documents import EngineStamp, Line, Times
from schemas.envelope import Envelope
from schemas.jobs import Failure, JobEvent, JobResult, JobState, JobView, PageResult, SearchHit
from schemas.plans import DOCUMENT
from tests.cli.invoking import failure, run
from tests.fakes import FakeJobs, World
from tests.served import served
from tests.support import until

PDF = b"%PDF-1.7 hello"


class Ended(FakeJobs):
    """Every job has ended as `state`."""

    def __init__(self, state: JobState) -> None:
        super().__init__()
        self.state = state
        self.questions = 0

    async def job(self, tenant: str, job: str) -> JobView | None:
        self.questions += 1
        if self.questions == 1:
            return None  # not projected yet
        errors = (
            [] if self.state is JobState.SUCCEEDED else [Failure(page=2, step="ocr", code="oops", detail="\x1b[2J")]
        )
        return JobView(id=job, state=self.state, pages_total=2, pages_done=1, errors=errors)

    async def events(self, tenant: str, job: str, after: int, limit: int) -> list[JobEvent]:
        end = JobEvent.model_validate({"seq": 1, "event": f"job.{self.state}", "run": 1, "at": datetime.now(UTC)})
        return [] if after else [end]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "invoice.pdf"
    path.write_bytes(PDF)
    return path


def test_submit_prints_one_line_a_job_on_stdout(url: str, world: World, document: Path) -> None:
    result = run("submit", document, document, "--url", url, "--lane", "bulk")
    assert result.exit_code == 0, result.output
    ids = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert set(ids) == {record.key.decode() for record in world.publisher.published}
    assert len(ids) == 2


def test_submit_json_is_one_object(url: str, document: Path) -> None:
    result = run("submit", document, "--document-id", "inv-1", "--json", HEADRACE_URL=url)
    [job] = json.loads(result.stdout)["jobs"]
    assert (job["document_id"], job["error"], job["job"]) == ("inv-1", None, None)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (JobState.SUCCEEDED, Exit.OK),
        (JobState.PARTIAL, Exit.FAILED),
        (JobState.FAILED, Exit.FAILED),
        (JobState.EXPIRED, Exit.FAILED),
    ],
)
def test_submit_wait_exits_by_what_became_of_the_job(world: World, document: Path, state: JobState, code: Exit) -> None:
    world.jobs = Ended(state)
    with served(world) as url:
        result = run("submit", document, "--wait", "--url", url)
    assert result.exit_code == code
    assert f"\t{state.value}\t1/2 pages" in result.stdout
    assert "\x1b[2J" not in result.output
    assert ("oops" in result.stderr) == (code != Exit.OK)


def test_submit_wait_gives_up_after_its_timeout_and_still_tells_the_id(url: str, world: World, document: Path) -> None:
    result = run("submit", document, "--wait", "--timeout", "0.5", "--url", url)
    assert result.exit_code == Exit.TIMEOUT
    assert result.stdout.startswith(world.publisher.published[0].key.decode())


def test_what_ends_the_waiting_ends_no_job_and_its_id_is_told(url: str, world: World, document: Path) -> None:
    world.jobs.down = True
    result = run("submit", document, "--wait", "--timeout", "0.5", "--url", url)
    assert result.exit_code == Exit.UNREACHABLE
    assert result.stdout == f"{world.publisher.published[0].key.decode()}\tinvoice.pdf\n"
    assert "request: req_" in result.stderr


def test_ctrl_c_while_waiting_tells_the_ids(url: str, world: World, document: Path) -> None:
    words = [sys.executable, "-m", "cli.main", "submit", str(document), str(document), "--wait", "--url", url]
    env = os.environ | {"HEADRACE_API_KEY": "demo-key"}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as caller:
        until(lambda: world.jobs.story_reads > 0, 20, "a job that is followed")
        caller.send_signal(signal.SIGINT)
        out, said = caller.communicate(timeout=20)
    assert caller.returncode == Exit.INTERRUPTED
    told = {line.split("\t")[0] for line in out.splitlines()}
    assert told == {record.key.decode() for record in world.publisher.published}
    assert "Traceback" not in said


def test_a_refused_file_does_not_stop_the_others(url: str, world: World, document: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"MZ\x90\x00")
    result = run("submit", bad, document, "--url", url)
    assert result.exit_code == Exit.FAILED
    assert len(world.publisher.published) == 1
    assert len(result.stdout.splitlines()) == 1
    assert "unsupported_media_type" in result.stderr
    assert "request: req_" in result.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["jobs", "get", "job_none"], Exit.NOT_FOUND),
        (["jobs", "get", "../../readyz"], Exit.NOT_FOUND),
        (["jobs", "get", "job_none", "--api-key", "wrong"], Exit.UNAUTHORIZED),
        (["search", "x", "--api-key", "wrong"], Exit.UNAUTHORIZED),
    ],
)
def test_what_the_server_refuses_has_its_exit_code_and_a_hint(url: str, words: list[str], code: Exit) -> None:
    error = failure(run(*words, "--url", url))
    assert error.code == code
    assert error.hint
    assert "request: req_" in str(error)


def test_no_server_is_exit_code_3(document: Path) -> None:
    [port] = ports.free(1)
    nowhere = f"http://127.0.0.1:{port}"
    assert failure(run("search", "x", "--url", nowhere)).code == Exit.UNREACHABLE
    assert run("submit", document, "--url", nowhere).exit_code == Exit.UNREACHABLE
    assert run("submit", document, "--wait", "--timeout", "0.6", "--url", nowhere).exit_code == Exit.UNREACHABLE


def test_a_server_that_is_not_ours_is_told_so(tmp_path: Path) -> None:
    import http.server

    class Plain(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Plain) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        error = failure(run("jobs", "get", "x", "--url", f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()
        thread.join()
    assert error.code == Exit.UNREACHABLE
    assert "without JSON" in str(error)


def test_without_an_address_the_embedded_stacks_credentials_are_used(url: str, document: Path, tmp_path: Path) -> None:
    data = tmp_path / "stack"
    data.mkdir()
    told = failure(run("search", "x", "--data-dir", data))
    assert (told.code, "headrace up" in told.hint) == (Exit.UNREACHABLE, True)
    (data / "credentials.json").write_text(json.dumps({"url": url, "api_keys": {"demo": "demo-key"}}))
    assert run("submit", document, "--data-dir", data, HEADRACE_API_KEY="").exit_code == 0
    (data / "credentials.json").write_text("{")
    assert failure(run("search", "x", "--data-dir", data)).code == Exit.UNREACHABLE


def test_waiting_rides_over_a_server_that_goes_away_and_comes_back(world: World, document: Path) -> None:
    [port] = ports.free(1)
    world.publisher.down = True
    results: list[Result] = []
    words = ("submit", document, "--wait", "--timeout", "30", "--url", f"http://127.0.0.1:{port}")
    caller = threading.Thread(target=lambda: results.append(run(*words)))
    caller.start()  # nobody listens yet: connections are refused
    refused: list[int] = []
    world.publisher.ping = _counting(world.publisher.ping, refused)  # type: ignore[method-assign]  # counts the 503s
    with served(world, port):
        until(lambda: len(refused) > 0, 20, "a 503")
        world.publisher.down = False
        until(lambda: len(world.publisher.published) > 0, 20, "a job")
    world.jobs = Ended(JobState.SUCCEEDED)
    with served(world, port):
        caller.join(30)
    assert [result.exit_code for result in results] == [0], results
    assert len(world.publisher.published) == 1


def _counting(ping: Callable[[], object], calls: list[int]) -> Callable[[], object]:
    def counted() -> object:
        calls.append(1)
        return ping()

    return counted


def test_search_prints_tab_separated_lines_into_a_pipe_and_no_control_characters(url: str, world: World) -> None:
    world.search.hits["demo"] = [
        SearchHit(
            document_id="inv", revision=1, job="j", page=2, chunk=0, text="Total\n\x1b[31m99", box=(1.4, 2, 30, 40),
            image_width=100, image_height=200, score=0.91234,
        )
    ]  # fmt: skip
    result = run("search", "total", "--limit", "5", "--document-id", "inv", "--url", url)
    assert result.stdout == "0.912\tinv\t2\t1,2,30,40 of 100x200\tTotal  [31m99\n"
    hits = json.loads(run("search", "total", "--json", "--url", url).stdout)["hits"]
    assert (hits[0]["page"], hits[0]["image_width"]) == (2, 100)


def test_a_passage_of_a_document_without_pictures_has_no_box(url: str, world: World) -> None:
    world.search.hits["demo"] = [
        SearchHit(
            document_id="mail", revision=1, job="j", page=1, chunk=0, text="Dear all", language="en", box=None,
            image_width=None, image_height=None, score=0.5,
        )
    ]  # fmt: skip
    assert run("search", "all", "--url", url).stdout == "0.500\tmail\t1\tno box\tDear all\n"
    [hit] = json.loads(run("search", "all", "--json", "--url", url).stdout)["hits"]
    assert (hit["box"], hit["boxes"], hit["language"], hit["image_width"]) == (None, [], "en", None)


def test_search_that_finds_nothing_says_so_beside_the_data(url: str) -> None:
    result = run("search", "x", "--url", url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no passage found\n")


def test_jobs_get_shows_the_state_and_the_result(url: str, world: World) -> None:
    job = world.ids.issue("demo")
    assert "queued" in run("jobs", "get", job, "--url", url).stdout
    error = failure(run("jobs", "get", job, "--result", "--url", url))
    assert (error.code, "[not_ready]" in str(error)) == (Exit.FAILED, True)
    stamp = EngineStamp(name="e", model="m", version="1", digest="d")
    page = PageResult(
        page=1, width=10, height=20, text="Hello", lines=[Line(text="Hello\x07", box=(0, 0, 1, 1), score=1)],
        engine=stamp, times=Times(),
    )  # fmt: skip
    world.jobs.results["demo", job] = JobResult(
        id=job, state=JobState.SUCCEEDED, document_id="d", document_sha256="0" * 64, revision=1, plan="p", pages=[page]
    )
    assert run("jobs", "get", job, "--result", "--url", url).stdout == "Hello \n"
    told = json.loads(run("jobs", "get", job, "--result", "--json", "--url", url).stdout)
    assert told["pages"][0]["lines"][0]["text"] == "Hello\x07"


def test_the_doctor_names_each_check_and_what_to_do(url: str, world: World, tmp_path: Path) -> None:
    words = ("doctor", "--json", "--data-dir", tmp_path / "none")
    checks = {check["name"]: check for check in json.loads(run(*words, "--url", url).stdout)["checks"]}
    assert {"python", "engines", "models", "kafka jars", "disk", "server", "clock", "api key", "topics"} <= set(checks)
    assert checks["server: kafka"]["state"] == "ok"
    assert checks["topics"]["state"] == checks["migrations"]["state"] == "warn"
    world.publisher.down = True
    result = run(*words, "--url", url)
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert (checks["server: kafka"]["state"], result.exit_code) == ("fail", 1)
    assert checks["server: kafka"]["fix"]
    checks = {
        check["name"]: check for check in json.loads(run(*words, "--url", url, "--api-key", "no").stdout)["checks"]
    }
    assert checks["api key"]["state"] == "fail"
    assert run("doctor", "--url", "http://127.0.0.1:1", "--data-dir", tmp_path).exit_code == 1


def test_every_request_carries_the_key_in_its_header_alone(url: str) -> None:
    with Client(Server(url, "demo-key")) as client:
        request = client.get("/livez").request
    assert request.headers["authorization"] == "Bearer demo-key"
    assert "demo-key" not in str(request.url)


def test_a_plan_and_a_model_are_pinned_by_name(world: World, url: str, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 a")
    assert run("submit", tmp_path / "a.pdf", "--model", "PP-OCRv4 mobile", "--url", url).exit_code == 0
    made = plans.edited(DOCUMENT, {"ocr": {"model": "PP-OCRv4 mobile"}})
    assert Envelope.from_headers(world.publisher.published[-1].headers).plan == made.hash
    wrong = run("submit", tmp_path / "a.pdf", "--plan", "0" * 16, "--url", url)
    assert wrong.exit_code == Exit.FAILED
    assert "no plan of that hash" in wrong.output

"""A caller at work on the whole stack: what the command says of jobs while the servers behind it die and come back."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.stack.running import Running, headrace, running
from tests.support import until

pytestmark = pytest.mark.stack
PAGES = 8


class Caller:
    """The command as a process against one stack."""

    def __init__(self, stack: Running) -> None:
        self.stack = stack
        self._env = {key: value for key, value in os.environ.items() if not key.startswith("HEADRACE_")}
        self._env["HEADRACE_DATA_DIR"] = str(stack.data)

    def starts(self, *words: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(headrace(*map(str, words)), env=self._env, stdout=subprocess.PIPE, text=True)

    def says(self, *words: object) -> tuple[list[str], int]:
        """The lines of its data, and its exit code."""
        process = self.starts(*words)
        out, _ = process.communicate(timeout=90)
        return out.splitlines(), process.returncode


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    data = tmp_path_factory.mktemp("stack")
    env = {key: value for key, value in os.environ.items() if not key.startswith("HEADRACE_")}
    env |= {"HEADRACE_ENGINES": "sleep:0.4", "HEADRACE_OCR_WORKERS": "1"}
    with running(data, headrace("up", "--data-dir", str(data)), env) as stack:
        stack.ready(120)
        yield Caller(stack)


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents") / "inbox"
    folder.mkdir()
    first, *rest = [Image.new("L", (400, 300), 255 - number) for number in range(PAGES)]
    first.save(folder / "scan.tiff", save_all=True, append_images=rest)
    (folder / "letter.txt").write_text("A letter of some words.\n" * 3)
    return folder


def test_a_story_is_followed_to_its_end_while_both_servers_are_killed(caller: Caller, inbox: Path) -> None:
    lines, code = caller.says("submit", inbox, "--ids", "path", "--quiet")
    assert (code, [line.split("\t")[1] for line in lines]) == (0, ["letter.txt", "scan.tiff"])
    job = lines[1].split("\t")[0]
    told, killed = [], 0
    with caller.starts("jobs", "watch", job, "--json") as watching:
        for line in watching.stdout or ():
            told.append(json.loads(line))
            if told[-1]["event"] in ("document.prepared", "page.succeeded") and killed < 6:
                for pid in filter(None, map(caller.stack.pids().get, ("api-1", "api-2"))):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
    assert watching.returncode == 0
    assert killed >= 4, "a run without kills proves nothing"
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert told[-1]["event"] == "job.succeeded"
    assert sum(event["event"] == "page.succeeded" for event in told) == PAGES
    caller.stack.ready(60)


def test_a_job_is_cancelled_run_again_and_announced_once_a_run(caller: Caller, inbox: Path) -> None:
    lines, _ = caller.says("submit", inbox / "scan.tiff")
    job = lines[0].split("\t")[0]
    assert caller.says("jobs", "cancel", job) == ([f"{job}\tcancelling"], 0)
    lines, code = caller.says("jobs", "watch", job, "--timeout", 60)
    assert (code, lines[-1].split()[-1]) == (1, "job.cancelled")
    assert caller.says("jobs", "retry", job) == ([f"{job}\trun 2"], 0)
    assert caller.says("jobs", "watch", job, "--run", 2, "--timeout", 60)[1] == 0
    listed = [line.split("\t")[:3] for line in caller.says("jobs", "list", "--state", "succeeded")[0]]
    assert [job, "succeeded", "2"] in listed

    def ends() -> list[int]:
        records = [json.loads(line) for line in caller.says("tail", "results", "--no-follow", "--json")[0]]
        ours = [record["envelope"] for record in records if record["key"] == job]
        return sorted(envelope["run"] for envelope in ours if envelope["kind"] == "headrace.JobEnded.v1")

    until(lambda: ends() == [1, 2], 20, "one announcement of each run")


def test_a_document_is_waited_for_found_and_deleted(caller: Caller, inbox: Path) -> None:
    lines, code = caller.says("submit", inbox / "letter.txt", "--wait", "--document-id", "a letter")
    assert (code, lines[0].split("\t")[2:]) == (0, ["succeeded", "1/1 pages"])
    job = lines[0].split("\t")[0]
    assert any(line.startswith("a letter\t") for line in caller.says("documents", "list")[0])
    assert caller.says("documents", "delete", "a letter", "--yes") == (["a letter\tdeleting"], 0)
    until(lambda: caller.says("jobs", "get", job, "--result")[1] == 5, 30, "a result that is gone")
    assert caller.says("documents", "get", "a letter")[1] == 5

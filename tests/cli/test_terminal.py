"""What a person sees on a real terminal: whole ids, nothing wider than the window, colours, a question."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.cells import cell_len

from schemas.jobs import DocumentView, JobList, JobQuery, JobState, JobSummary
from tests.fakes import FakeJobs, World
from tests.served import served

ID = "job_agq73xhubrrbdrgdghv4csab5lpz2whrgq2uo"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
LONG = "这是一个很长的中文文件名" * 10


class One(FakeJobs):
    async def jobs(self, tenant: str, query: JobQuery) -> JobList:
        job = JobSummary(
            id=ID, state=JobState.FAILED, document_id="d", revision=1, lane="bulk", filename=LONG,
            created_at=datetime.now(UTC),
        )  # fmt: skip
        return JobList(data=[job], has_more=False)


def _seen(
    words: list[str], columns: int, answer: bytes = b"", stdout: int | None = None, **environment: str
) -> tuple[str, int]:
    """What the command shows on a terminal of so many columns, and its exit code."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environment}
    command = [sys.executable, "-m", "cli.main", *words]
    process = subprocess.Popen(command, stdin=theirs, stdout=stdout or theirs, stderr=theirs, env=env)
    os.close(theirs)
    shown, deadline = b"", time.monotonic() + 30
    os.write(ours, answer)
    news = select.poll()
    news.register(ours, select.POLLIN)
    while time.monotonic() < deadline:
        if not news.poll(100):
            continue
        try:
            shown += os.read(ours, 65536)
        except OSError:  # the last of those who wrote is gone
            break
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), process.wait(10)


def test_a_list_keeps_ids_whole_and_stays_within_the_window() -> None:
    world = World(jobs=One())
    with served(world) as url:
        words = ["jobs", "list", "--url", url, "--api-key", "demo-key"]
        for columns in (80, 120):
            shown, code = _seen(words, columns, NO_COLOR="1")
            [head, row] = [line for line in shown.splitlines() if "job" in line]
            assert (code, ID in row, "failed" in row, "…" in row) == (0, True, True, True)
            assert max(cell_len(_ANSI.sub("", line).rstrip()) for line in (head, row)) <= columns
        assert ID in _seen(words, 40)[0].replace("\n", "")


def test_a_state_has_a_colour_unless_none_is_wanted() -> None:
    with served(World(jobs=One())) as url:
        words = ["jobs", "list", "--url", url, "--api-key", "demo-key"]
        assert "\x1b[31mfailed" in _seen(words, 100)[0]
        assert "\x1b[31m" not in _seen(words, 100, NO_COLOR="1")[0]


def test_a_bar_is_for_the_terminal_and_the_data_for_the_pipe(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.txt").write_text("Some words of a letter.\n")
    world = World()
    with served(world) as url:
        words = ["submit", str(folder), "--url", url, "--api-key", "demo-key"]
        with (tmp_path / "out").open("w") as out:
            shown, code = _seen(words, 80, stdout=out.fileno())
        assert (code, "/20 files" in shown) == (0, True)
        names = [line.split("\t")[1] for line in (tmp_path / "out").read_text().splitlines()]
        assert names == [f"{number:02}.txt" for number in range(20)]
        shown, code = _seen(words, 80)
    assert (code, shown.count("job_")) == (0, 20)
    assert not re.search("[^\n\r]job_", _ANSI.sub("", shown.replace("\x1b[2K", "\r")))


def test_a_deletion_is_asked_for() -> None:
    world = World()
    world.jobs.kept["demo", "d"] = DocumentView(document_id="d", revision=1, job="job_1", state=JobState.SUCCEEDED)
    with served(world) as url:
        words = ["documents", "delete", "d", "--url", url, "--api-key", "demo-key"]
        shown, code = _seen(words, 80, b"n\n")
        assert (code, "[y/N]" in shown, world.publisher.published) == (1, True, [])
        shown, code = _seen(words, 80, b"y\n")
        assert (code, "deleting" in shown, len(world.publisher.published)) == (0, True, 1)

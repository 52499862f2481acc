"""Folders as arguments: what is submitted, in which order, under which name, and what is left out."""

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli import uploads
from cli.client import Client, Server
from cli.errors import CliError, Exit
from cli.folders import Member, members
from cli.uploads import Uploads
from tests.cli.invoking import run
from tests.fakes import World

TEXT = b"These are words of a letter.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Documents at three depths, and one of everything that is left out."""
    root = tmp_path / "inbox"
    for name in ("b.txt", "a/z.pdf", "a/秋/deep.txt", ".git/config.txt", "a/.hidden.txt", "B.txt"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%PDF-1.7 x" if name.endswith("pdf") else TEXT)
    (root / "a" / "program.exe").write_bytes(b"MZ\x90\0\1\2")
    (root / "a" / "empty.pdf").touch()
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "broken.txt").symlink_to(root / "nowhere")
    (root / "linked.txt").symlink_to(root / "b.txt")
    os.mkfifo(root / "pipe.txt")
    return root


NAMES = ["inbox/B.txt", "inbox/a/z.pdf", "inbox/a/秋/deep.txt", "inbox/b.txt", "inbox/linked.txt"]


def test_a_folder_gives_its_documents_in_order_and_says_why_not_the_rest(folder: Path) -> None:
    found = list(members([folder, folder / "a" / "program.exe"]))
    assert [member.name for member in found if isinstance(member, Member)] == [*NAMES, "program.exe"]
    told = {path.name: why for path, why in (item for item in found if not isinstance(item, Member))}
    assert told == {
        ".git": "hidden", ".hidden.txt": "hidden", "program.exe": "of no type that is read", "empty.pdf": "empty",
        "loop": "no regular file", "broken.txt": "no regular file", "pipe.txt": "no regular file",
    }  # fmt: skip


def test_a_folder_is_submitted_and_summed_up(folder: Path, world: World, url: str) -> None:
    result = run("submit", folder, "--url", url)
    assert result.exit_code == 0, result.output
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == [Path(name).name for name in NAMES]
    told = result.stderr.splitlines()
    assert "5 accepted, 7 skipped (1 empty, 2 hidden, 3 no regular file, 1 of no type that is read)" in told[-1]
    assert f"skipped: {folder}/a/program.exe: of no type that is read" in told
    assert not any("hidden.txt" in line for line in told)
    assert len({record.key for record in world.publisher.published}) == 5
    quiet = run("submit", folder, "--quiet", "--url", url)
    assert (len(quiet.stdout.splitlines()), quiet.stderr) == (5, "")


def test_documents_are_called_by_their_path_when_asked(folder: Path, url: str) -> None:
    jobs = json.loads(run("submit", folder, "--ids", "path", "--json", "--url", url).stdout)["jobs"]
    assert [job["document_id"] for job in jobs] == NAMES
    jobs = json.loads(run("submit", folder, "--json", "--url", url).stdout)["jobs"]
    assert not set(NAMES) & {job["document_id"] for job in jobs}


def test_two_documents_of_one_name_are_refused_before_anything_is_sent(
    folder: Path, tmp_path: Path, world: World, url: str
) -> None:
    other = tmp_path / "other" / "inbox"
    other.mkdir(parents=True)
    (other / "b.txt").write_bytes(TEXT)
    assert run("submit", folder, other, "--url", url).exit_code == Exit.OK
    sent = len(world.publisher.published)
    result = run("submit", folder, other, "--ids", "path", "--url", url)
    assert (result.exit_code, len(world.publisher.published)) == (Exit.USAGE, sent)


@pytest.mark.parametrize("words", [("--ids", "path"), ()])
def test_a_document_id_names_no_folder(folder: Path, url: str, words: tuple[str, ...]) -> None:
    assert run("submit", folder, "--document-id", "d", *words, "--url", url).exit_code == Exit.USAGE


def test_a_rehearsal_needs_no_server(folder: Path) -> None:
    words = ("submit", folder, "--dry-run", "--url", "http://127.0.0.1:1")
    lines = run(*words, "--ids", "path").stdout.splitlines()
    assert [line.split("\t")[1:] for line in lines] == [
        [name, "application/pdf" if name.endswith("pdf") else "text/plain"] for name in NAMES
    ]
    assert json.loads(run(*words, "--json").stdout)["files"][0] == {
        "file": str(folder / "B.txt"), "document_id": None, "media_type": "text/plain"
    }  # fmt: skip


def test_a_file_whose_name_is_no_text_is_submitted_and_told(tmp_path: Path, world: World, url: str) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9 \x1b[2J.txt")
    path.write_bytes(TEXT)
    [job] = json.loads(run("submit", path, "--json", "--url", url).stdout)["jobs"]
    assert job["file"] == str(path)
    assert run("submit", path, "--url", url).stdout.split("\t")[1] == "caf   [2J.txt\n"
    assert len(world.publisher.published) == 2


def test_a_folder_without_documents_is_no_error(tmp_path: Path, url: str) -> None:
    result = run("submit", tmp_path, "--url", url)
    assert (result.exit_code, result.stdout, "0 accepted" in result.stderr) == (0, "", True)


class _Slow(Client):
    """Accepts after all its callers are there, or after a moment; counts how many are there at once."""

    def __init__(self, lost_after: int | None = None) -> None:
        super().__init__(Server("http://127.0.0.1:1", "key"))
        self.most = self.there = self.tried = 0
        self._lost_after = lost_after
        self._lock = threading.Lock()
        self._all = threading.Barrier(uploads._AT_ONCE)

    def submit(self, path: Path, fields: Mapping[str, str], *, until: float | None = None) -> dict[str, Any]:
        with self._lock:
            self.tried += 1
            self.there += 1
            self.most = max(self.most, self.there)
            lost = self._lost_after is not None and self.tried > self._lost_after
        try:
            if lost:
                raise CliError("cannot reach it", Exit.UNREACHABLE)
            with contextlib.suppress(threading.BrokenBarrierError):
                self._all.wait(0.05)
            return {"id": f"job_{path.name}", "document_id": "d"}
        finally:
            with self._lock:
                self.there -= 1


def _files(count: int) -> list[tuple[Path, dict[str, str]]]:
    return [(Path(str(number)), {}) for number in range(count)]


def test_a_few_uploads_run_at_once_and_are_told_in_order() -> None:
    client = _Slow()
    sent = list(Uploads(client, None).send(_files(30)))
    assert [item.job for item in sent] == [f"job_{number}" for number in range(30)]
    assert client.most == uploads._AT_ONCE


def test_files_are_not_asked_for_long_before_they_are_sent() -> None:
    asked: list[int] = []
    files = (asked.append(number) or file for number, file in enumerate(_files(1000)))  # type: ignore[func-returns-value]  # append is what we count
    sending = Uploads(_Slow(), None).send(files)
    next(sending)
    assert len(asked) <= 3 * uploads._AT_ONCE
    sending.close()


def test_a_server_that_is_lost_ends_the_sending() -> None:
    client = _Slow(lost_after=8)
    sending = Uploads(client, None)
    sent = list(sending.send(_files(500)))
    assert sum(bool(item.job) for item in sent) == 8
    assert sending.lost is not None
    assert sending.lost.code == Exit.UNREACHABLE
    assert client.tried < 30


def test_ctrl_c_ends_the_sending_and_tells_what_was_accepted() -> None:
    client = _Slow()
    sending = Uploads(client, None)

    def files() -> Any:
        yield from _files(6)
        raise KeyboardInterrupt

    sent = list(sending.send(files()))
    assert sending.lost is not None
    assert sending.lost.code == Exit.INTERRUPTED
    assert len(sent) == client.tried > 0

"""The command as a whole: its reference, its completion, its start, and what it never prints."""

import json
import os
import subprocess
import sys

import pytest

from cli.errors import Exit
from cli.output import plain, show_json
from cli.reference import PAGE, reference
from tests.cli.test_jobs import Many
from tests.fakes import World
from tests.served import served


def test_the_reference_is_the_commands() -> None:
    assert PAGE.read_text("utf-8") == reference(), "run: python -m cli.reference"


def test_every_exit_code_is_documented() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows[1:]] == [str(code.value) for code in Exit]


def test_help_loads_nothing_that_it_does_not_need() -> None:
    """What it costs to say no: 0.2 s of imports, if any of these were among them."""
    probe = "import sys, cli.main as m; m.build(); print(sorted({'pydantic', 'httpx2', 'confluent_kafka', 'fastapi', "
    probe += "'numpy', 'sqlalchemy', 'rich.progress'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert told == "[]\n"


def _completed(line: str, **environment: str) -> list[str]:
    """What bash is offered at the end of `line`."""
    words = line.split(" ")
    told = {"_HEADRACE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main"], env={**os.environ, **told, **environment}, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


def test_verbs_topics_and_names_are_completed() -> None:
    assert {"jobs", "jars"} <= set(_completed("headrace j"))
    assert _completed("headrace tail headrace.res") == ["headrace.results"]
    assert _completed("headrace tail res") == ["results"]
    assert set(_completed("headrace sink index-")) == {"index-pgvector", "index-weaviate"}


def test_ids_of_jobs_are_completed_from_the_server_and_silently_not_without_one() -> None:
    with served(World(jobs=Many())) as url:
        known = {"HEADRACE_URL": url, "HEADRACE_API_KEY": "demo-key"}
        assert _completed("headrace jobs get job_4", **known) == [
            "job_4",
            *(f"job_{number}" for number in range(40, 50)),
        ]
    assert _completed("headrace jobs get job_", HEADRACE_URL="http://127.0.0.1:1", HEADRACE_API_KEY="x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_be_told_how_to_complete(shell: str) -> None:
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    words = [sys.executable, "-m", "cli.main", "--show-completion", shell]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert "_HEADRACE_COMPLETE" in done.stdout


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\rb", "a\u202eb", "a\u2028b", "a\x9bb", "a\ud800b", "a\x00b", "a\tb"])
def test_what_could_move_a_cursor_becomes_a_blank(text: str) -> None:
    assert plain(text)[0] + plain(text)[-1] == "ab"
    assert plain(text)[1] == " "


def test_names_that_are_no_text_are_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"file": "caf\udce9", "name": "ä"})
    assert json.loads(capsys.readouterr().out) == {"file": "caf\udce9", "name": "ä"}


def test_an_output_that_is_closed_early_is_no_traceback() -> None:
    with served(World(jobs=Many())) as url:
        words = f"{sys.executable} -m cli.main jobs list --limit 250 --url {url} --api-key demo-key | head -n 1"
        done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout.startswith("job_0\t")
    assert "Traceback" not in done.stderr

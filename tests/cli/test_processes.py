"""worker, sink and api: the names they know, the settings they tell of, and that the command becomes the process."""

import fnmatch
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from cli.errors import Exit
from cli.processes import READS, SinkName, StepName
from processors.worker import STEPS
from producers import provisioning
from schemas.broker import Broker
from schemas.settings import Settings
from sinks import worker as sinks
from tests.cli.invoking import failure, run
from tests.support import environment, until


def test_the_names_are_those_of_the_composition_roots() -> None:
    assert set(get_args(StepName)) == set(STEPS)
    assert set(get_args(SinkName)) == {*sinks.SINKS, *sinks.ALONE}


def test_every_setting_is_told_by_a_process_and_none_that_does_not_exist() -> None:
    known = {name.upper() for name in Settings.model_fields}
    told = {pattern for patterns in READS.values() for pattern in patterns}
    assert {pattern for pattern in told if not fnmatch.filter(known, pattern)} == set()
    assert {name for name in known if not any(fnmatch.fnmatch(name, pattern) for pattern in told)} == set()


@pytest.mark.parametrize(("verb", "names"), [("worker", StepName), ("sink", SinkName)])
def test_an_unknown_name_is_a_usage_error_naming_those_that_are_known(verb: str, names: object) -> None:
    result = run(verb, "frobnicate")
    assert result.exit_code == Exit.USAGE
    assert all(name in result.stderr.replace("\n", "") for name in get_args(names))


@pytest.mark.parametrize(
    ("words", "variable", "value"),
    [
        ("api", "HEADRACE_ID_KEYS", "{}"),
        ("api", "HEADRACE_ID_KEYS", "secret-that-is-no-json"),
        ("worker ocr", "HEADRACE_INDEXES", "secret-index"),
        ("worker ocr", "HEADRACE_BATCH", "secret-many"),
        ("sink projector", "HEADRACE_KAFKA_PROTOCOL", "SASL_SSL"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(words: str, variable: str, value: str) -> None:
    error = failure(run(*words.split(), **{variable: value}))
    assert error.code == Exit.USAGE
    assert variable in str(error)
    assert "secret" not in f"{error} {error.hint}".replace("--api-key", "").replace("to secret", "")


def _started(words: list[str], folder: Path, **variables: str) -> "subprocess.Popen[bytes]":
    told = {"HEADRACE_RUN_DIR": str(folder), "HEADRACE_SLOT": "it-1", "HEADRACE_DEV": "true", **variables}
    return subprocess.Popen([sys.executable, "-m", "cli.main", *words], env={**os.environ, **told}, cwd=folder)


def _becomes(process: "subprocess.Popen[bytes]", mark: Path) -> None:
    """Wait for the ready mark that the process itself leaves, then end it as a supervisor does."""
    try:
        until(lambda: mark.exists() or process.poll() is not None, 30, "the ready mark")
        assert json.loads(mark.read_text())["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
        process.wait()


def test_the_command_becomes_a_worker_and_ends_as_one(kafka: Broker, tmp_path: Path) -> None:
    provisioning.apply(kafka, dev=True)
    blobs = {"HEADRACE_BLOBS": (tmp_path / "blobs").as_uri()}
    process = _started(["worker", "chunk"], tmp_path, **environment(kafka), **blobs)
    _becomes(process, tmp_path / "it-1.ready")
    assert process.returncode == 0


def test_the_command_becomes_an_api_process_and_ends_as_one(kafka: Broker, tmp_path: Path) -> None:
    keys = {"HEADRACE_ID_KEYS": '{"1": "secret"}', "HEADRACE_BLOBS": (tmp_path / "blobs").as_uri()}
    process = _started(["api", "--port", "0"], tmp_path, **environment(kafka), **keys)
    _becomes(process, tmp_path / "it-1.ready")
    assert process.returncode in (0, -signal.SIGTERM)

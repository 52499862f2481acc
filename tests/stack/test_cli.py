"""How the command line fails and what it prints: exit codes, hints, tracebacks only when asked for."""

import json
import socket
from pathlib import Path

import pytest

from cli import main as command_line
from deploy.local import stack
from producers import provisioning
from schemas.broker import Broker


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit code of `headrace ARGUMENTS`."""
    monkeypatch.setattr("sys.argv", ["headrace", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    return ended.value.code


def test_status_without_a_stack_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, "status", "--data-dir", str(tmp_path)) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [f"error: no stack is up in {tmp_path}", "hint: start one with `headrace up`"]


def test_down_without_a_stack_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch, "down", "--data-dir", str(tmp_path)) == 0


def test_an_unknown_verb_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch, "frobnicate") == 2


def test_an_unforeseen_error_is_one_line_and_a_traceback_only_with_debug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: Path) -> None:
        raise ZeroDivisionError(f"in {data.name}")

    monkeypatch.setattr(stack, "status", broken)
    assert _run(monkeypatch, "status", "--data-dir", str(tmp_path / "here")) == 1
    assert capsys.readouterr().err.splitlines()[0] == "error: ZeroDivisionError: in here"
    monkeypatch.setattr("sys.argv", ["headrace", "--debug", "status"])
    with pytest.raises(ZeroDivisionError):
        command_line.main()


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_data: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stack, "status", interrupted)
    assert _run(monkeypatch, "status") == 130


def test_a_port_of_somebody_else_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert _run(monkeypatch, "up", "--data-dir", str(tmp_path), "--port", str(port)) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"error: port {port} of 127.0.0.1 is taken by another process",
        "hint: give another one with --port",
    ]
    assert not (tmp_path / "postgres").exists()


def test_topics_are_planned_applied_and_then_as_declared(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("HEADRACE_DEV", "true")
    assert _run(monkeypatch, "topics", "apply") == 0
    capsys.readouterr()
    assert _run(monkeypatch, "topics", "plan", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"changes": []}
    assert _run(monkeypatch, "topics", "plan") == 0
    assert capsys.readouterr().out == "the log is as declared\n"


def test_topics_of_a_log_that_is_away_exit_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(provisioning, "_TIMEOUT", 0.5)
        monkeypatch.setenv("HEADRACE_KAFKA", f"127.0.0.1:{silent.getsockname()[1]}")
        assert _run(monkeypatch, "topics", "plan") == 3
    assert "hint: " in capsys.readouterr().err

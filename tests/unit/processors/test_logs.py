"""Log lines that repeat are held back and counted."""

import logging

import pytest

from processors import logs


def _line(text: str) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, (), None)


def test_a_line_is_said_once_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    repeats = logs.Repeats()
    assert repeats.filter(_line("away"))
    assert repeats.filter(_line("other"))
    assert [repeats.filter(_line("away")) for _ in range(3)] == [False] * 3
    now += logs.QUIET_SECONDS
    again = _line("away")
    assert repeats.filter(again)
    assert again.getMessage() == "away [and 3 more like it]"

"""Moments as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

_AGE = re.compile(r"(\d{1,6})(min|m|h|d|w)")
_UNITS = {"min": 60, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def moment(text: str | None, option: str) -> str | None:
    """An ISO 8601 moment out of an age (`30m`, `2h`, `7d`, `1w`) or a date and time (local unless it says)."""
    if text is None:
        return None
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return (datetime.now(UTC) - timedelta(seconds=int(age[1]) * _UNITS[age[2]])).isoformat()
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        told = "give an age such as 30m, 2h, 7d, or a moment such as 2026-05-01T12:00"
        raise typer.BadParameter(told, param_hint=option) from None

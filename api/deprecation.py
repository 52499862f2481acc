"""How a route says that it will go: `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and what takes its place."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

_EXTRA = "x-deprecation"
LEAST = timedelta(days=180)
"""From the word that a route will go to the moment that it may."""


def deprecated(*, since: datetime, sunset: datetime, successor: str) -> dict[str, Any]:
    """What a route's decorator is given: `@router.get("/old", **deprecated(...))`.

    Raises `ValueError` where `sunset` comes less than half a year after `since`. `successor` is a path of this server.
    """
    if sunset - since < LEAST:
        raise ValueError(f"a route is kept for {LEAST.days} days after its callers are told that it will go")
    told = {"since": since.isoformat(), "sunset": sunset.isoformat(), "successor": successor}
    return {"deprecated": True, "openapi_extra": {_EXTRA: told}}


def fields(route: object) -> dict[str, str]:
    """The header fields of an answer by this route, whatever the answer is; none where it stays."""
    extra: Mapping[str, Any] = getattr(route, "openapi_extra", None) or {}
    told = extra.get(_EXTRA)
    if told is None:
        return {}
    since, sunset = (datetime.fromisoformat(told[name]).astimezone(UTC) for name in ("since", "sunset"))
    return {
        "deprecation": f"@{int(since.timestamp())}",
        "sunset": format_datetime(sunset, usegmt=True),
        "link": f'<{told["successor"]}>; rel="successor-version"',
    }

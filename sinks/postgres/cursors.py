"""Cursors of lists: where the next page begins, in words that only the list itself reads."""

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from schemas.errors import BadRequest

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LIMIT = 2**63  # PostgreSQL's bigint


def encode(order: str, value: int, name: str) -> str:
    """The cursor behind the row with this value and unique name, in a list of this order."""
    return base64.urlsafe_b64encode(json.dumps([order, value, name]).encode()).decode().rstrip("=")


def decode(cursor: str, order: str) -> tuple[int, str]:
    """Value and name of the row that a cursor stands behind; raises `BadRequest` for one of no such list."""
    try:
        of, value, name = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise _none_of_ours(order) from error
    known = of == order and type(value) is int and 0 <= value < _LIMIT
    if not known or not isinstance(name, str) or not name.isascii() or not name.isprintable():
        raise _none_of_ours(order)
    return value, name


def cut(
    rows: Sequence[T], limit: int, order: str, place: Callable[[T], tuple[int, str]]
) -> tuple[Sequence[T], dict[str, Any]]:
    """Of rows that were asked for one beyond `limit`: those of this page, and what it says of the next one."""
    shown, more = rows[:limit], len(rows) > limit
    return shown, {"has_more": more, "next": encode(order, *place(shown[-1])) if more else None}


def identity(name: str) -> uuid.UUID:
    """The name of a row that is known by a UUID; raises `BadRequest` for any other."""
    try:
        return uuid.UUID(name)
    except ValueError as error:
        raise BadRequest("the cursor `after` is of no list") from error


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The moment `micros` microseconds after 1970; raises `BadRequest` beyond the year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError as error:
        raise BadRequest("the cursor `after` is of no list") from error


def _none_of_ours(order: str) -> BadRequest:
    return BadRequest(f"the cursor `after` is none that a list by {order} gave")

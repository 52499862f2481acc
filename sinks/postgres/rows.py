"""Bulk rows for PostgreSQL: one JSON parameter a statement, read there by `json_to_recordset`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import Row, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

_REFUSED = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL's text holds no NUL, UTF-8 no lone surrogate


def packed(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a JSON array, with U+FFFD where a character is that PostgreSQL refuses."""
    try:
        text = to_json(rows).decode()
    except PydanticSerializationError:  # a lone surrogate has no UTF-8
        text = ""
    return to_json(_clean(rows)).decode() if not text or "\\u0000" in text else text


async def bulk(
    connection: AsyncConnection, statement: TextClause, rows: Sequence[Mapping[str, Any]]
) -> Sequence[Row[tuple[Any, ...]]]:
    """Run a statement over all rows at once, given as its parameter `rows`; what it returns, nothing without rows."""
    if not rows:
        return ()
    found = await connection.execute(statement, {"rows": packed(rows)})
    return found.all() if found.returns_rows else ()


def cleaned(text: str) -> str:
    """The text with U+FFFD where a character is that PostgreSQL refuses."""
    return _REFUSED.sub("\ufffd", text)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, Mapping):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_clean(item) for item in value]
    return value

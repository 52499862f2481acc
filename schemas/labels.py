"""What callers write on a job for themselves: metadata to find their own things by, tags to filter lists."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.printable import printable

MOST_PAIRS, MOST_TAGS = 16, 16
_Key = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(printable)]
_Value = Annotated[str, Field(max_length=512), AfterValidator(printable)]
Tag = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^,]*$"), AfterValidator(printable)]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _parsed(value: Any) -> Any:
    """A form's field is text: JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ValueError("must be a JSON object of strings, each key once") from error


def _listed(value: Any) -> Any:
    """A form's field is text: names by commas, each once."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))


def metadata(stored: str | None) -> dict[str, str]:
    """As it stands in a row, where it is JSON; nothing where nothing was written."""
    return {} if stored is None else dict(json.loads(stored))


Metadata = Annotated[dict[_Key, _Value], Field(max_length=MOST_PAIRS), BeforeValidator(_parsed)]
"""At most 16 pairs, keys of at most 64 and values of at most 512 characters."""
Tags = Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS), BeforeValidator(_listed)]
"""At most 16, of at most 64 characters, without a comma."""


def _stored(value: Any) -> Any:
    return metadata(value) if value is None or isinstance(value, str) else value


def _none(value: Any) -> Any:
    return value or ()


StoredMetadata = Annotated[dict[str, str], BeforeValidator(_stored)]
"""As a row has it."""
StoredTags = Annotated[tuple[str, ...], BeforeValidator(_none)]
"""As a row has them."""

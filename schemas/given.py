"""Values that callers give, taken for what they are: no number is read from a word, no truth from a number."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from schemas.printable import printable

_WRITTEN = re.compile(r"[0-9]{4}-")


def _written(value: Any) -> Any:
    if isinstance(value, int | float) or (isinstance(value, str) and not _WRITTEN.match(value)):
        raise ValueError("must be a date-time as in RFC 3339")
    return value


def _of_our_calendar(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a moment between the years 1 and 9999 in UTC") from error


def _true(value: Any) -> Any:
    if value is not None and not isinstance(value, bool):
        raise ValueError("must be true")
    return value


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Truth = Annotated[bool, Field(strict=True)]
OnlyTrue = Annotated[Literal[True], BeforeValidator(_true)]
NO_CONTROLS = AfterValidator(printable)
"""For text that is looked for, as databases take no control characters. Behind its bounds, which are of text then."""
Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_of_our_calendar)]
"""Pydantic reads numbers as seconds since 1970: of a caller they are a mistake."""

"""Values that callers give, taken for what they are: no number is read from a word, no truth from a number."""

import re
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

_WRITTEN = re.compile(r"[0-9]{4}-")


def _written(value: Any) -> Any:
    if isinstance(value, int | float) or (isinstance(value, str) and not _WRITTEN.match(value)):
        raise ValueError("must be a date-time as in RFC 3339")
    return value


def _true(value: Any) -> Any:
    if value is not None and not isinstance(value, bool):
        raise ValueError("must be true")
    return value


Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Truth = Annotated[bool, Field(strict=True)]
OnlyTrue = Annotated[Literal[True], BeforeValidator(_true)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
"""Pydantic reads numbers as seconds since 1970: of a caller they are a mistake."""

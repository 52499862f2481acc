"""How a record came to be: the attempts of the steps before it, in one header, for the projector to keep."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, NamedTuple

from pydantic import Field, TypeAdapter

from schemas.records import Outgoing

HEADER = "headrace_trail"
_MOST = 64
"""Attempts that a record tells of, the newest: a way has some five steps, and a step three attempts."""

_Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]


class Attempt(NamedTuple):
    """One attempt of a step at one part; `code` is that of the error which it came to, empty where it succeeded.

    `at`: when it began, in seconds since 1970; `queued`: seconds that the part had waited for it; `run`: seconds that
    it took, which are those of the batch that it was in.
    """

    step: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    number: Annotated[int, Field(ge=1, le=1_000_000)]
    at: _Seconds
    queued: _Seconds
    run: _Seconds
    code: Annotated[str, Field(max_length=64)] = ""


_TRAIL = TypeAdapter(tuple[Attempt, ...])


def read(headers: Iterable[tuple[str, bytes]]) -> tuple[Attempt, ...]:
    """The attempts that led to a record, oldest first; none where it does not say, or not so that we can read it."""
    return unpacked(next((value for name, value in headers if name == HEADER), b"[]"))


def tell(records: Iterable[Outgoing], attempts: Sequence[Attempt]) -> list[Outgoing]:
    """The records with these attempts in their headers."""
    header = (HEADER, packed(attempts[-_MOST:]))
    return [replace(record, headers=(*without(record.headers), header)) for record in records]


def without(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers of a record whose way begins anew."""
    return [(name, value) for name, value in headers if name != HEADER]


def packed(attempts: Iterable[Attempt]) -> bytes:
    """Attempts as JSON: an array of arrays."""
    return _TRAIL.dump_json(tuple(attempts))


def unpacked(text: str | bytes) -> tuple[Attempt, ...]:
    """The attempts that `packed` made the text of; none for anything else."""
    try:
        return _TRAIL.validate_json(text)
    except ValueError:  # a newer release's, or anybody's: what it cannot say harms nothing
        return ()

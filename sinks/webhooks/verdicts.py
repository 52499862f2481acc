"""What an answer means for a delivery: done, tried again when, or given up (Standard Webhooks 1.0.0)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from schemas.webhooks import DeliveryState

LONGEST_WAIT = 24 * 3600.0
"""However long a receiver asks to be let alone, in seconds."""
JITTER = 0.1
"""Waits are longer by up to this share: receivers that came back are not met by all at once."""
_GONE = 410


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery: `wait` in seconds before the next of its attempts, of which `tries` were made.

    `asked` are the seconds for which the receiver asked to be let alone. `gone`: it wants nothing any more.
    """

    state: DeliveryState
    wait: float
    tries: int
    asked: float = 0.0
    gone: bool = False

    @property
    def well(self) -> bool:
        """Whether it was delivered."""
        return self.state == "delivered"


def succeeded(status: int | None) -> bool:
    """Whether an answer is one of success; None: there was none."""
    return status is not None and 200 <= status < 300


def judge(status: int | None, retry_after: str, tries: int, schedule: Sequence[float], dice: random.Random) -> Verdict:
    """The verdict upon an answer (None: there was none) to attempt `tries`, counted from 0.

    Only 2xx is success. `schedule` holds the seconds before each attempt; behind the last one it is given up.
    """
    if succeeded(status):
        return Verdict("delivered", 0.0, tries + 1)
    if status == _GONE:
        return Verdict("failed", 0.0, tries + 1, gone=True)
    asked = min(_seconds(retry_after), LONGEST_WAIT)
    if tries + 1 >= len(schedule):
        return Verdict("failed", 0.0, tries + 1, asked)
    wait = schedule[tries + 1] * (1 + dice.uniform(0, JITTER))
    return Verdict("waiting", max(wait, asked), tries + 1, asked)


def _seconds(retry_after: str) -> float:
    """The seconds that a `Retry-After` asks for, 0 where it says nothing that can be read (RFC 9110, 10.2.3)."""
    value = retry_after.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())

"""What a stream carries in and a handler hands back: bytes with their position in, one outcome out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it lay on the log; `epoch` counts the assignments of its partition to this process.

    `at` is the record's timestamp in seconds since 1970, as the broker reports it.
    """

    partition: Partition
    offset: int
    epoch: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    at: float

    def __str__(self) -> str:
        return f"{self.partition.topic}[{self.partition.number}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish. `spread`, where given, chooses the partition as `spread % partitions`; else the key does."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    spread: int | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """Done, and its records are on the log: let the offset pass."""

    records: Sequence[Outgoing] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: run the record again after `after` seconds.

    Without `records` it stays un-acked here for so long; with them (the record on its way to `headrace.delayed`) its
    offset passes once they are published.
    """

    after: float
    reason: str
    records: Sequence[Outgoing] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """Never: dead-letter the original bytes, publish `records` (the failure event), let the offset pass.

    `input_at_fault`: the caller's bytes are to blame, which says nothing about the step.
    """

    code: str
    detail: str
    records: Sequence[Outgoing] = ()
    input_at_fault: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Not until something changes: alarm, try again, for ever.

    `alone`: it is this record that has to wait; else whatever is tried next would fare no better, so nothing is pulled
    and records are tried one at a time. `behind`: others are tried before it, as it may itself be what fails.
    """

    reason: str
    alone: bool = False
    behind: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing to do (cancelled, expired, repeated): publish `records`, let the offset pass."""

    reason: str
    records: Sequence[Outgoing] = field(default=())


Outcome = Emit | Retry | Reject | Hold | Skip

"""Attempts that ended the process: which records were running when it died, and how often that has happened.

Before each batch the worker notes what it is about to run (`inflight`), in what outlives a kill -9 (not a power cut,
which also ends the machine's other suspects). After an unclean start those records are suspects: each runs alone, and
is first marked on the compacted topic `headrace.attempts`, where every worker sees it. The third mark is a dead letter.
"""

import contextlib
import json
from collections.abc import Iterable
from typing import Protocol

from processors.inflight import Notes
from schemas.control import AttemptsMarked
from schemas.records import Outgoing, Record
from schemas.topics import ATTEMPTS

LIMIT = 3


class View(Protocol):
    """A compacted topic, read whole and followed."""

    def get(self, key: bytes) -> bytes | None:
        """The newest value of a key."""


class Attempts:
    """The attempts of one worker's group."""

    def __init__(self, group: str, notes: Notes | None, marks: View) -> None:
        self._group = group
        self._notes = notes
        self._marks = marks
        self._suspects = set[str]() if notes is None else _named(notes.left())
        self._marked: dict[str, int] = {}  # by this process: a suspect that waits or is tried again has not died again

    def suspect(self, record: Record) -> bool:
        """Whether the record was running when a process ended, here or at a peer."""
        return str(record) in self._suspects or self._marks.get(self._key(record)) is not None

    def counted(self, record: Record) -> int:
        """How many deaths this process has counted to the record, 0 before it has."""
        return self._marked.get(str(record), 0)

    def mark(self, record: Record) -> tuple[int, Outgoing]:
        """One more death counted to the record: how many that makes, and the mark to publish before it runs."""
        value = self._marks.get(self._key(record))
        count = self._marked[str(record)] = 1 + (AttemptsMarked.model_validate_json(value).count if value else 0)
        mark = AttemptsMarked(count=count).model_dump_json().encode()
        return count, Outgoing(ATTEMPTS.name, self._key(record), mark)

    def clear(self, record: Record) -> list[Outgoing]:
        """The record got its outcome and is a suspect no longer: the tombstone to publish with it, if it was one.

        The last mark stays: where the process dies of the next record before this one's offset is committed, it is
        read again, and must not be run again.
        """
        if not self.suspect(record):
            return []
        self._suspects.discard(str(record))
        if self._marked.pop(str(record), 0) >= LIMIT:
            return []
        return [Outgoing(ATTEMPTS.name, self._key(record), None)]

    def running(self, records: Iterable[Record]) -> None:
        """Note what is about to run; unsuspected leftovers stay noted until they got an outcome."""
        if self._notes is not None:
            self._notes.write(json.dumps(sorted({*self._suspects, *(str(record) for record in records)})))

    def close(self) -> None:
        """A clean end leaves no suspects, whatever still runs: nobody died of it."""
        if self._notes is not None:
            self._notes.close()

    def _key(self, record: Record) -> bytes:
        return f"{self._group} {record}".encode()


def _named(note: str) -> set[str]:
    with contextlib.suppress(ValueError):  # a torn write names nobody
        return set(json.loads(note.splitlines()[0])) if note else set()
    return set()

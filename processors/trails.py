"""What a loop tells of its attempts: in the records that follow from them, failed ones with their codes."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from processors.outcomes import attempt_of
from schemas import trail
from schemas.errors import PoisonRecord
from schemas.records import Outcome, Outgoing, Record, Reject, Retry, Skip
from schemas.topics import DEAD_LETTERS
from schemas.trail import Attempt


class Trails:
    """The attempts of one loop, which tries one batch after the other.

    `now` gives seconds since 1970, `deaths` how many processes a record's earlier attempts ended: those count too.
    """

    def __init__(self, step: str, now: Callable[[], float], deaths: Callable[[Record], int]) -> None:
        self._step = step
        self._now = now
        self._deaths = deaths
        self._began = 0.0
        self._failed: dict[str, list[Attempt]] = {}

    def begun(self) -> None:
        """The next batch is tried from now on."""
        self._began = self._now()

    def succeeded(self, record: Record, answer: Iterable[Outgoing]) -> list[Outgoing]:
        """What the step made of a record of the batch, with the way that led to it."""
        return trail.tell(answer, self._way(record, ""))

    def failed(self, record: Record, outcome: Outcome, code: str) -> Outcome:
        """The outcome of an attempt that failed, its records with the way that led there; one that waits is noted."""
        match outcome:
            case Retry(records=()):
                self._failed.setdefault(str(record), []).append(self._attempt(record, code))
            case Retry() | Reject() | Skip():
                way = self._way(record, code)
                return replace(outcome, records=tuple(_told(each, way) for each in outcome.records))
        return outcome

    def settled(self, record: Record) -> None:
        """The record came to its fate."""
        self._failed.pop(str(record), None)

    def forget(self) -> None:
        """Partitions went: what comes back is told of by another."""
        self._failed.clear()

    def _way(self, record: Record, code: str) -> list[Attempt]:
        here = self._failed.get(str(record), ())
        return [*trail.read(record.headers), *here, self._attempt(record, code)]

    def _attempt(self, record: Record, code: str) -> Attempt:
        here = self._failed.get(str(record), ())
        since = here[-1].at + here[-1].run if here else record.at
        number = attempt_of(record) + len(here) + self._deaths(record) - (code == PoisonRecord.code)
        queued, run = max(0.0, self._began - since), max(0.0, self._now() - self._began)
        return Attempt(self._step, number, round(self._began, 3), round(queued, 3), round(run, 4), code)


def _told(record: Outgoing, way: list[Attempt]) -> Outgoing:
    """A dead letter keeps its headers as they came."""
    return record if record.topic == DEAD_LETTERS.name else trail.tell([record], way)[0]

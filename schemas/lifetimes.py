"""How long things are kept that records name, derived from how long records themselves live.

What a record names must outlive every topic that the record may lie on, every dead letter made of it, and its job.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from schemas.topics import DEAD_LETTERS, DOCUMENTS, EVENTS, JOBS, TOPICS, Topic

# Kafka deletes whole segments: a record stays until the last of its segment is old enough, and a segment takes
# records for a week (log.roll.hours).
_SEGMENT = timedelta(days=7)
_MARGIN = timedelta(days=1)
DRAFT = timedelta(days=1)
"""What was not finished by then never will be: an upload takes minutes."""
LEFTOVER = timedelta(days=1)
"""How long what waited may stay after its job ended: whoever works on it has ended by then."""


def of_record(topic: Topic) -> timedelta:
    """The longest that a record lies on a topic."""
    return timedelta(milliseconds=topic.retention_ms) + _SEGMENT + _MARGIN


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The ages past which things may be swept, seen from the projector's low-water time.

    `inbox`: rows that tell a repeat. `named`: bytes that no job's row keeps, such as large records' values, after their
    job's end; `letter`: dead letters as rows.
    """

    inbox: timedelta
    named: timedelta
    letter: timedelta


def lifetimes(dead_letter_days: float, known: Collection[Topic] = TOPICS) -> Lifetimes:
    """The lifetimes that the declared retentions and the setting `dead_letter_days` ask for.

    A record may be put aside on the last day of its topic, that dead letter stored on the last day of its own, and
    tried again on the last day of the row.
    """
    letter = timedelta(days=dead_letter_days)
    lives = {topic.name: of_record(topic) for topic in known if not topic.compacted}
    guarded = max(lives[name] for name in (JOBS.name, EVENTS.name, DOCUMENTS.name))
    longest = max(life for name, life in lives.items() if name != DEAD_LETTERS.name)
    return Lifetimes(guarded, longest + lives[DEAD_LETTERS.name] + letter, letter)

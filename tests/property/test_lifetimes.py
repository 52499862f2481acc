"""What records name outlives every topic that can name it, every dead letter made of it, and its repeats' memory."""

import dataclasses
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.lifetimes import Lifetimes, lifetimes, of_record
from schemas.topics import DAY, DEAD_LETTERS, TOPICS, Topic

CONSUMED = [topic for topic in TOPICS if "headrace.projector" in topic.readers]


@st.composite
def declared(draw: st.DrawFn) -> list[Topic]:
    """The map of topics with other retentions."""
    days = st.integers(1, 400)
    return [dataclasses.replace(topic, retention_ms=draw(days) * DAY) for topic in TOPICS]


def judge(lives: Lifetimes, known: list[Topic], letter_days: float) -> None:
    plain = {topic.name: topic for topic in known if not topic.compacted}
    letter = of_record(plain.pop(DEAD_LETTERS.name)) + timedelta(days=letter_days)
    for topic in plain.values():
        assert lives.named >= of_record(topic) + letter, f"bytes that a dead letter of {topic.name} names"
    for name in (topic.name for topic in CONSUMED):
        assert lives.inbox >= of_record(plain[name]), f"a repeat from {name} is known"
    assert lives.letter == timedelta(days=letter_days)


@given(known=declared(), letter_days=st.floats(0.1, 1000))
def test_whatever_is_declared_nothing_is_swept_that_a_record_or_dead_letter_can_name(
    known: list[Topic], letter_days: float
) -> None:
    judge(lifetimes(letter_days, known), known, letter_days)


def test_a_record_may_outlive_its_topics_retention_by_a_whole_segment() -> None:
    for topic in TOPICS:
        assert of_record(topic) > timedelta(milliseconds=topic.retention_ms) + timedelta(days=7)
    judge(lifetimes(90), list(TOPICS), 90)

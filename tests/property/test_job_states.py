"""The job transition table as a state machine, and the verdict on counted parts. No database."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.jobs import TERMINAL, TRANSITIONS, JobState, Tally, allowed, fate, judge, needs, reaches

STATES = st.sampled_from(list(JobState))
NEEDED = needs(["pgvector"])


class Job(RuleBasedStateMachine):
    """A job that somebody pushes about: whatever is tried, it only goes where the table lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.state = JobState.QUEUED
        self.run = 1
        self.ends: list[tuple[JobState, int]] = []

    @rule(new=STATES)
    def try_a_transition_in_the_same_run(self, new: JobState) -> None:
        was = self.state
        if allowed(was, new):
            assert was not in TERMINAL, "a terminal state was left without a higher run"
            self._enter(new)

    @rule(new=STATES)
    def try_a_transition_with_a_higher_run(self, new: JobState) -> None:
        if allowed(self.state, new, run_rises=True):
            self.run += 1
            self._enter(new)

    @rule(new=STATES)
    def try_a_whole_further_run_at_once(self, new: JobState) -> None:
        if reaches(self.state, new, run_rises=True):
            self.run += 1
            self._enter(new)

    @precondition(lambda self: self.state is JobState.SUCCEEDED)
    @rule(new=STATES, rises=st.booleans())
    def nothing_leaves_success(self, new: JobState, rises: bool) -> None:
        assert not reaches(JobState.SUCCEEDED, new, run_rises=rises)

    @invariant()
    def a_run_ends_at_most_once(self) -> None:
        runs = [run for _, run in self.ends]
        assert len(set(runs)) == len(runs)

    def _enter(self, new: JobState) -> None:
        self.state = new
        if new in TERMINAL:
            self.ends.append((new, self.run))


TestJob = Job.TestCase


@given(old=STATES, new=STATES, rises=st.booleans())
def test_reaching_is_walking_along_allowed_transitions(old: JobState, new: JobState, rises: bool) -> None:
    seen = {state for state in JobState if allowed(old, state, run_rises=rises)}
    if rises and old in TERMINAL:  # what reopened goes on in the same, higher run
        seen |= {state for middle in seen for state in JobState if allowed(middle, state)}
    assert reaches(old, new, run_rises=rises) == (new in seen)


def test_every_state_but_success_can_still_be_left_and_every_state_can_be_arrived_at() -> None:
    assert {state for state, following in TRANSITIONS.items() if not following} == {JobState.SUCCEEDED}
    assert set(itertools.chain(*TRANSITIONS.values())) == set(JobState)


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    pages = draw(st.integers(1, 6))
    done, lost = sorted(draw(st.lists(st.integers(0, pages), min_size=2, max_size=2)))
    skipped = draw(st.integers(0, pages - lost))
    return Tally(
        pages=pages,
        indexed=done,
        failed=lost - done,
        skipped=skipped,
        expired=draw(st.integers(0, skipped)),
        begun=True,
    )


@given(tallies())
def test_a_job_ends_exactly_when_every_page_has_a_fate_and_succeeds_only_when_every_page_is_indexed(
    tally: Tally,
) -> None:
    verdict = judge(tally)
    assert (verdict in TERMINAL) == (tally.indexed + tally.failed + tally.skipped == tally.pages)
    assert (verdict is JobState.SUCCEEDED) == (tally.indexed == tally.pages)


@given(tallies())
def test_nothing_ends_before_the_pages_are_counted_unless_the_document_itself_does(tally: Tally) -> None:
    assert judge(tally.model_copy(update={"pages": None})) is JobState.RUNNING
    assert judge(tally.model_copy(update={"pages": None, "document_failed": True})) is JobState.FAILED
    stopped = tally.model_copy(update={"pages": None, "document_skipped": JobState.EXPIRED})
    assert judge(stopped) is JobState.EXPIRED


@given(kinds=st.sets(st.sampled_from(["read", "indexed:pgvector", "indexed:other", "failed", "skipped:cancelled"])))
def test_a_page_is_indexed_exactly_when_it_was_read_and_every_required_index_holds_it(kinds: set[str]) -> None:
    assert (fate(kinds, NEEDED) == "indexed") == (kinds >= {"read", "indexed:pgvector"})
    assert (fate(kinds, NEEDED) == "queued") == (not kinds & {"read", "failed", "skipped:cancelled"})

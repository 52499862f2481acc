"""The watermark: whatever the order of hand-over, finish, rebalance and commit, nothing unfinished is passed."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from processors.watermark import Watermarks
from schemas.records import Partition, Record

P = Partition("t", 0)


def _record(offset: int, epoch: int) -> Record:
    return Record(P, offset, epoch, None, None, (), 0.0)


class Assignments(RuleBasedStateMachine):
    """A partition that is fetched (with gaps and repeats), finished in any order, committed, and moved."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Watermarks()
        self.finished: set[int] = set()  # by anyone, ever: what need not be read again
        self.log: set[int] = set()  # offsets that exist (compaction leaves gaps)
        self.next = 0
        self.committed = 0
        self.held: list[tuple[int, int]] = []  # (offset, epoch) handed over
        self.epoch = self.table.assign(P)
        self.position = 0

    @rule(gap=st.integers(0, 3))
    def produce(self, gap: int) -> None:
        self.next += gap
        self.log.add(self.next)
        self.next += 1

    @rule(count=st.integers(1, 5))
    def fetch(self, count: int) -> None:
        for offset in sorted(o for o in self.log if o >= self.position)[:count]:
            self.table.track(P, offset)
            if self.table.is_open(_record(offset, self.epoch)):
                self.held.append((offset, self.epoch))
            self.position = offset + 1

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        offset, epoch = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.finished.add(offset)
        passed = self.table.finish(_record(offset, epoch))
        assert epoch == self.epoch or not passed, "an earlier assignment let an offset pass"

    @precondition(lambda self: self.held)
    @rule()
    def forget(self) -> None:
        """A record is dropped somewhere: it must hold the watermark."""
        self.held.pop()

    @rule()
    def seek_back(self) -> None:
        """A consumer that reads again from the commit, in the same assignment."""
        self.position = self.committed

    @rule()
    def commit(self) -> None:
        offsets = self.table.committable()
        self.committed = offsets.get(P, self.committed)
        self.table.committed(offsets)

    @rule()
    def rebalance(self) -> None:
        self.table.revoke(P)
        assert self.table.committable() == {}
        self.epoch = self.table.assign(P)
        self.position = self.committed

    @invariant()
    def nothing_unfinished_is_passed(self) -> None:
        safe = self.table.committable().get(P, self.committed)
        assert all(offset in self.finished for offset in self.log if offset < safe)


TestAssignments = Assignments.TestCase
TestAssignments.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


@given(st.permutations(range(12)))
def test_all_finished_in_any_order_commits_the_end(order: list[int]) -> None:
    table = Watermarks()
    epoch = table.assign(P)
    for offset in range(12):
        table.track(P, offset)
    for offset in order:
        assert table.beyond(_record(offset, epoch)) == 11 - offset
        assert table.finish(_record(offset, epoch))
        assert not table.finish(_record(offset, epoch)), "finished twice"
    assert table.committable() == {P: 12}
    table.committed({P: 12})
    assert table.committable() == {}
    assert table.open_records() == 0


def test_what_an_earlier_assignment_took_up_passes_nothing_of_the_next_one() -> None:
    table = Watermarks()
    earlier = table.assign(P)
    table.track(P, 0)
    table.revoke(P)
    assert table.beyond(_record(0, earlier)) == 0
    table.assign(P)
    table.track(P, 0)
    assert not table.is_open(_record(0, earlier))
    assert not table.finish(_record(0, earlier))
    assert table.committable() == {}

"""The watchdog by its ticks, and on a real loop that is really blocked."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from processors.endings import EXITS, Endings, Reason
from processors.group_watch import GroupWatch, Handed
from processors.watchdog import TICK, Seen, Watchdog, end_within
from schemas.errors import DependencyDown
from schemas.records import Partition
from tests.support import until

IDLE = Seen(0, 0, in_bounded_call=False)
STUCK = Seen(3, 7, in_bounded_call=False)


class Ends(list[tuple[str, str]]):
    def __call__(self, reason: Reason, told: str) -> None:
        self.append((reason, told))

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self]


def _tick(watchdog: Watchdog, seen: Seen | None, seconds: float) -> None:
    for _ in range(round(seconds / TICK)):
        watchdog.tick(seen)


def test_a_loop_that_does_not_answer_is_complained_of_and_then_ended() -> None:
    ends = Ends()
    watchdog = Watchdog(ends, 5, 60)
    _tick(watchdog, IDLE, 100)
    _tick(watchdog, None, 2)
    assert (watchdog.complaint, ends) == ("", [])
    _tick(watchdog, None, 2)
    assert "event loop" in watchdog.complaint
    assert not ends
    _tick(watchdog, None, 1.5)
    assert ends.reasons[0] == "loop_blocked"


def test_a_loop_that_answers_again_is_well() -> None:
    watchdog = Watchdog(Ends(), 5, 60)
    for _ in range(50):
        _tick(watchdog, None, 4)
        watchdog.tick(IDLE)
        assert watchdog.complaint == ""


def test_records_at_hand_that_come_no_further_end_the_process() -> None:
    ends = Ends()
    watchdog = Watchdog(ends, 5, 60)
    _tick(watchdog, STUCK, 59)
    assert "no progress" in watchdog.complaint
    assert not ends
    _tick(watchdog, STUCK, 2)
    assert ends.reasons[0] == "no_progress"
    assert "3 records at hand" in ends[0][1]


@pytest.mark.parametrize(
    "well",
    [
        [Seen(0, 7, in_bounded_call=False)],
        [Seen(3, 7, in_bounded_call=True)],
        [Seen(3, 7, in_bounded_call=False), Seen(3, 8, in_bounded_call=False)],
    ],
    ids=["idle", "in an engine call, which has a deadline of its own", "holding or halted, and told so by its beats"],
)
def test_who_waits_with_a_reason_is_well(well: list[Seen]) -> None:
    ends = Ends()
    watchdog = Watchdog(ends, 5, 60)
    for turn in range(2000):
        watchdog.tick(well[turn % len(well)])
    assert (watchdog.complaint, ends) == ("", [])


async def test_a_loop_that_is_really_blocked_is_seen_and_one_that_works_is_not() -> None:
    ends, looked = Ends(), 0

    def look() -> Seen:
        nonlocal looked
        looked += 1
        return IDLE

    watchdog = Watchdog(ends, 0.05, 60, sleep=lambda _: time.sleep(0.005))
    watchdog.watch(asyncio.get_running_loop(), look)
    async with asyncio.timeout(20):
        while looked < 20:
            await asyncio.sleep(0.001)
    assert not ends
    until(lambda: ends, 20, "the blocked loop to be seen")  # blocks the loop, as this is no coroutine
    watchdog.rest()
    assert set(ends.reasons) == {"loop_blocked"}


async def test_a_process_that_was_stopped_and_goes_on_is_no_alarm() -> None:
    """While it is stopped its thread does not tick either: that is what `sleep` shows here, at once and for long."""
    ends, stopped = Ends(), threading.Event()

    def sleep(_: float) -> None:
        stopped.wait(20)
        stopped.clear()

    watchdog = Watchdog(ends, 0.3, 60, sleep=sleep)
    watchdog.watch(asyncio.get_running_loop(), lambda: IDLE)
    for _ in range(5):
        await asyncio.to_thread(time.sleep, 0.01)
        stopped.set()
    watchdog.rest()
    stopped.set()
    assert not ends


def test_an_end_is_counted_over_restarts_and_has_a_status_of_its_own(tmp_path: Path) -> None:
    left: list[int] = []
    for _ in range(2):
        Endings("ocr-1", tmp_path, leave=left.append).end("no_progress", "3 records at hand")
    Endings("ocr-1", tmp_path, leave=left.append).end("loop_blocked", "")
    assert left == [EXITS["no_progress"]] * 2 + [EXITS["loop_blocked"]]
    assert (tmp_path / "ocr-1.endings").read_text() == '{"no_progress": 2, "loop_blocked": 1}'
    assert len(set(EXITS.values())) == len(EXITS)


def test_an_end_happens_though_it_cannot_be_counted(tmp_path: Path) -> None:
    left: list[int] = []
    (tmp_path / "ocr-1.endings").mkdir()
    Endings("ocr-1", tmp_path, leave=left.append).end("loop_blocked", "")
    assert left == [EXITS["loop_blocked"]]


def test_the_grace_ends() -> None:
    ends = Ends()
    end_within(0.01, ends)
    until(lambda: ends.reasons == ["drain_overdue"], 20, "the end")


class Group:
    def __init__(self, *, lag: int = 0, members: int | None = 2, partitions: int = 8) -> None:
        self.behind, self.count, self.size = lag, members, partitions
        self.down = False

    def lag(self, partitions: object) -> int:
        if self.down:
            raise DependencyDown
        return self.behind

    def members(self) -> int | None:
        return self.count

    def partitions(self) -> int:
        return self.size


ASSIGNED = frozenset({Partition("in", 0)})


def test_a_consumer_that_is_handed_nothing_while_its_lag_grows_is_ended() -> None:
    group, ends = Group(lag=1), Ends()
    watch = GroupWatch(group, ends, 40)
    for _ in range(20):
        watch.tick(Handed(ASSIGNED, 5, 0))
    assert not ends, "a lag that stands still: a transaction's own mark"
    group.behind = 4
    for _ in range(5):
        watch.tick(Handed(ASSIGNED, 5, 0))
    assert ends.reasons == ["no_progress"]


def test_a_consumer_that_is_handed_something_or_holds_is_well() -> None:
    group, ends = Group(), Ends()
    watch = GroupWatch(group, ends, 40)
    for turn in range(50):
        group.behind += 1
        watch.tick(Handed(ASSIGNED, turn if turn < 25 else 25, 0 if turn < 25 else 9))
    assert not ends


def test_a_log_that_is_away_judges_nobody() -> None:
    group, ends = Group(), Ends()
    watch = GroupWatch(group, ends, 40)
    watch.tick(Handed(ASSIGNED, 5, 0))
    group.down = True
    for _ in range(50):
        with pytest.raises(DependencyDown):
            watch.tick(Handed(ASSIGNED, 5, 0))
    assert not ends


@pytest.mark.parametrize(
    ("members", "well"), [(2, False), (8, True), (9, True), (None, True)], ids=["few", "equal", "many", "rebalancing"]
)
def test_a_member_without_partitions_is_ended_only_where_there_is_one_for_it(members: int | None, well: bool) -> None:
    ends = Ends()
    watch = GroupWatch(Group(members=members), ends, 40)
    for _ in range(5):
        watch.tick(Handed(frozenset(), 0, 0))
    assert ends.reasons == ([] if well else ["unassigned"])

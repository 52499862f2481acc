"""Lanes and verdicts alone: whatever receivers do, nobody takes another's room, and no schedule is cut short."""

import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.settings import WEBHOOK_SCHEDULE
from sinks.webhooks import lanes
from sinks.webhooks.lanes import Lane, Lanes
from sinks.webhooks.verdicts import JITTER, LONGEST_WAIT, judge

DICE = random.Random(1)


class Item(NamedTuple):
    message: str
    until: float


LATER = time.monotonic() + 3600


def _end(group: Lanes[Item], lane: Lane[Item], item: Item, kind: str) -> None:
    seconds = lanes.SLOW_SECONDS + 1 if kind == "slow" else 0.01
    group.end(lane, item, well=kind != "fails", seconds=seconds, asked=0.0, pause=0.0)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["add", "well", "slow", "fails"])), max_size=400))
def test_no_lane_has_more_than_its_width_and_what_is_at_hand_begins_once(steps: list[tuple[int, str]]) -> None:
    group: Lanes[Item] = Lanes()
    under_way: dict[str, list[tuple[Lane[Item], Item]]] = {}
    begun: list[str] = []
    for number, (endpoint, kind) in enumerate(steps):
        name = str(endpoint)
        if kind == "add":
            if group.rooms().get(name, lanes.AHEAD) > 0:
                item = Item(f"{name}-{number}", LATER)
                group.add(name, item, failing=False)
                group.add(name, item, failing=False)
        elif under_way.get(name):
            lane, item = under_way[name].pop(0)
            _end(group, lane, item, kind)
        for lane, item in group.begin():
            assert len(lane.under_way) <= lane.width
            under_way.setdefault(lane.endpoint, []).append((lane, item))
            begun.append(item.message)
    assert len(begun) == len(set(begun))
    for lane in {id(lane): lane for pairs in under_way.values() for lane, _ in pairs}.values():
        assert len(lane.under_way) + len(lane.waiting) <= lanes.AHEAD


def test_endpoints_in_trouble_have_half_of_the_slots_and_leave_the_rest_to_those_that_are_well() -> None:
    group: Lanes[Item] = Lanes()
    for number in range(400):
        group.add(f"bad-{number}", Item(f"b-{number}", LATER), failing=True)
    assert len(group.begin()) == lanes.TROUBLED_SLOTS
    for number in range(100):
        for each in range(lanes.AHEAD):
            group.add(f"well-{number}", Item(f"w-{number}-{each}", LATER), failing=False)
    begun = group.begin()
    assert {lane.endpoint[:4] for lane, _ in begun} == {"well"}
    assert len(begun) == lanes.SLOTS - lanes.TROUBLED_SLOTS
    assert group.full
    lane, item = begun[0]
    _end(group, lane, item, "well")
    [(other, _)] = group.begin(lane)
    assert other.endpoint.startswith("well"), "a slot that comes free goes to who had none before"


def test_one_that_fails_is_tried_alone_after_pauses_that_grow_and_a_success_opens_it() -> None:
    group: Lanes[Item] = Lanes()
    for number in range(5):
        group.add("a", Item(str(number), LATER), failing=False)
    [*pairs] = group.begin()
    pauses = []
    for lane, item in pairs[:4]:
        group.end(lane, item, well=False, seconds=0.1, asked=0.0, pause=5.0)
        pauses.append(lane.paused_until - time.monotonic())
    assert [round(pause, 1) for pause in pauses] == [0.1, 0.2, 0.4, 0.8]
    lane, item = pairs[4]
    assert (lane.width, group.rooms()["a"]) == (1, 0)
    group.end(lane, item, well=True, seconds=0.1, asked=0.0, pause=5.0)
    assert (lane.width, group.rooms()) == (lanes.WIDTH, {})


@pytest.mark.parametrize("well", [True, False])
def test_who_asked_to_be_let_alone_is_whatever_was_on_its_way_meanwhile(*, well: bool) -> None:
    group: Lanes[Item] = Lanes()
    for number in range(2):
        group.add("a", Item(str(number), LATER), failing=False)
    (lane, first), (_, second) = group.begin()
    group.end(lane, first, well=False, seconds=0.1, asked=600.0, pause=5.0)
    group.end(lane, second, well=well, seconds=0.1, asked=0.0, pause=5.0)
    assert lane.paused_until - time.monotonic() > 500


def test_what_may_be_another_couriers_by_now_is_not_begun() -> None:
    group: Lanes[Item] = Lanes()
    group.add("a", Item("late", time.monotonic() - 1), failing=False)
    group.add("a", Item("now", LATER), failing=False)
    assert [item.message for _, item in group.begin()] == ["now"]


@pytest.mark.parametrize("tries", range(len(WEBHOOK_SCHEDULE)))
@pytest.mark.parametrize("status", [None, 100, 199, 300, 302, 400, 404, 429, 500, 503])
def test_only_2xx_is_success_and_the_schedule_is_kept_with_its_jitter(status: int | None, tries: int) -> None:
    verdict = judge(status, "", tries, WEBHOOK_SCHEDULE, DICE)
    if tries + 1 == len(WEBHOOK_SCHEDULE):
        assert verdict.state == "failed"
        return
    assert (verdict.state, verdict.gone) == ("waiting", False)
    wait = WEBHOOK_SCHEDULE[tries + 1]
    assert wait <= verdict.wait <= wait * (1 + JITTER)


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_2xx_is_delivered_and_410_wants_nothing_more(status: int) -> None:
    assert judge(status, "", 0, WEBHOOK_SCHEDULE, DICE).well
    gone = judge(410, "", 0, WEBHOOK_SCHEDULE, DICE)
    assert (gone.state, gone.gone) == ("failed", True)


def test_who_asks_to_be_let_alone_is_for_a_day_at_most() -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    for told, seconds in (
        ("7200", 7200.0),
        (in_an_hour, 3600.0),
        ("9" * 60, LONGEST_WAIT),
        ("-5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ):
        verdict = judge(503, told, 0, WEBHOOK_SCHEDULE, DICE)
        assert verdict.asked == pytest.approx(seconds, abs=5)
        assert verdict.wait >= max(verdict.asked, WEBHOOK_SCHEDULE[1])

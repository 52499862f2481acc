"""A place in the queue: against a simulated deficit round robin, and what must hold of any estimate."""

import math
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from producers.queueing import place, released_before
from schemas.control import LaneLoad, LoadReport
from schemas.ports import Backlog

SLICE = 32
TENANTS = st.dictionaries(st.sampled_from("bcdefg"), st.integers(0, 3000), max_size=5)
WEIGHTS = st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from([0.5, 1.0, 2.0, 4.0]))


def report(
    bulk: dict[str, int], *, first: dict[str, int] | None = None, weights: dict[str, float] | None = None,
    speed: float = 10, in_work: int = 0, window: int = 0,
) -> LoadReport:  # fmt: skip
    return LoadReport(
        at=datetime.now(UTC), interactive=LaneLoad(waiting=first or {}), bulk=LaneLoad(waiting=bulk), in_work=in_work,
        window=window, pages_per_second=speed, weights=weights or {},
    )  # fmt: skip


def simulated(waiting: dict[str, int], weights: dict[str, float], pages: int) -> int:
    """Pages that deficit round robin has released when tenant `a` has its `pages`th."""
    left, deficit, released, own = dict(waiting), dict.fromkeys(waiting, 0.0), 0, 0
    while True:
        for tenant in sorted(left):
            if not left[tenant]:
                continue
            deficit[tenant] += SLICE * weights.get(tenant, 1.0)
            taken = min(left[tenant], int(deficit[tenant]))
            if tenant == "a" and own + taken >= pages:
                return released + pages - own
            own += taken if tenant == "a" else 0
            left[tenant] -= taken
            deficit[tenant] = deficit[tenant] - taken if left[tenant] else 0
            released += taken


@given(waiting=TENANTS, weights=WEIGHTS, pages=st.integers(1, 2000))
def test_the_fluid_is_within_a_slice_a_tenant_of_deficit_round_robin(
    waiting: dict[str, int], weights: dict[str, float], pages: int
) -> None:
    real = simulated({**waiting, "a": pages}, weights, pages)
    fluid = released_before("a", "bulk", pages, report({**waiting, "a": pages}, weights=weights))
    own = weights.get("a", 1.0)
    slices = sum(SLICE * max(weights.get(name, 1.0), weights.get(name, 1.0) / own) + 1 for name in waiting)
    assert abs(real - fluid) <= slices


@given(waiting=TENANTS, weights=WEIGHTS, ahead=st.integers(0, 500), more=st.integers(0, 500), first=TENANTS)
def test_who_stands_further_behind_comes_later_and_nothing_is_lost_of_what_waits(
    waiting: dict[str, int], weights: dict[str, float], ahead: int, more: int, first: dict[str, int]
) -> None:
    load = report(waiting, first=first, weights=weights)
    near, far = (released_before("a", "bulk", pages, load) for pages in (ahead, ahead + more))
    assert near + more <= far
    assert far <= ahead + more + sum(waiting.values()) + sum(first.values())
    assert released_before("a", "bulk", 10**9, load) == 10**9 + sum(waiting.values()) + sum(first.values())
    assert near >= ahead + sum(first.values()), "interactive work goes first"


@given(waiting=TENANTS, in_work=st.integers(0, 100), window=st.integers(0, 100), speed=st.floats(0.1, 1000))
def test_times_follow_from_the_place_and_end_after_they_start(
    waiting: dict[str, int], in_work: int, window: int, speed: float
) -> None:
    load = report(waiting, in_work=in_work, window=window, speed=speed)
    found = place("a", Backlog("bulk", 40, 10, counted=True), load)
    assert found.starts_in_seconds is not None
    assert found.ends_in_seconds is not None
    assert 0 <= found.starts_in_seconds < found.ends_in_seconds
    assert math.isclose(found.ends_in_seconds * speed, in_work + released_before("a", "bulk", 50, load))


def test_no_time_is_told_that_nobody_knows() -> None:
    waits = Backlog("bulk", 40, 10, counted=True)
    assert place("a", waits, None).model_dump() == {
        "pages_ahead": 40, "starts_in_seconds": None, "ends_in_seconds": None,
    }  # fmt: skip
    still = place("a", waits, report({"b": 20}, speed=0))
    assert (still.pages_ahead, still.starts_in_seconds, still.ends_in_seconds) == (60, None, None)
    uncounted = place("a", Backlog("bulk", 40, 1, counted=False), report({"b": 20}))
    assert (uncounted.pages_ahead, uncounted.starts_in_seconds, uncounted.ends_in_seconds) == (60, 6.0, None)

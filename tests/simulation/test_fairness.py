"""Turns of the dispatcher by the hundred: nobody waits more than a round, nor gets much more than another."""

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.lanes import RESERVE, Lanes
from producers.round_robin import SLICE, Offer, RoundRobin


def _offers(tenants: int, jobs: int) -> dict[str, list[Offer]]:
    return {f"t{n}": [Offer(f"t{n}", "bulk", f"j{n}-{job}", 1, 1, 1000) for job in range(jobs)] for n in range(tenants)}


@settings(deadline=None)
@given(tenants=st.integers(2, 6), rooms=st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_of_tenants_that_always_wait_none_waits_more_than_a_round(tenants: int, rooms: list[int]) -> None:
    turns, got, offers = RoundRobin({}), dict.fromkeys((f"t{n}" for n in range(tenants)), 0), _offers(tenants, 3)
    for room in rooms * 20:
        chosen = turns.share("bulk", offers, room)
        assert 0 < sum(item.pages for item in chosen) <= room
        assert all(item.pages <= SLICE for item in chosen)
        for item in chosen:
            got[item.offer.tenant] += item.pages
        assert max(got.values()) - min(got.values()) <= 2 * SLICE, "whoever is a round behind is next"


@settings(deadline=None, max_examples=50)
@given(weight=st.sampled_from((0.5, 2.0, 3.0, 8.0)), rooms=st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_a_tenant_gets_pages_by_its_weight_however_the_room_comes(weight: float, rooms: list[int]) -> None:
    turns, got, offers = RoundRobin({"t0": weight}), {"t0": 0, "t1": 0}, _offers(2, 64)
    for room in rooms * 40:
        for item in turns.share("bulk", offers, room):
            got[item.offer.tenant] += item.pages
    assert abs(got["t0"] / weight - got["t1"]) <= 3 * SLICE


@settings(deadline=None)
@given(allowance=st.integers(1, 20), window=st.integers(4, 200))
def test_interactive_pages_beyond_the_allowance_are_not_released_as_such(allowance: int, window: int) -> None:
    lanes = Lanes({}, allowance)
    offers = [Offer("greedy", "interactive", f"j{n}", 1, 1, 30) for n in range(20)]
    chosen = lanes.choose(offers, {}, window)
    assert 0 < sum(item.pages for item in chosen if item.lane == "interactive") <= allowance


@settings(deadline=None)
@given(window=st.integers(4, 200), interactive=st.integers(0, 300), bulk=st.integers(0, 300))
def test_work_fills_the_window_and_no_more_and_some_of_it_is_always_bulk(
    window: int, interactive: int, bulk: int
) -> None:
    held = {("interactive", "x"): interactive, ("bulk", "x"): bulk}
    offers = [Offer(f"t{n % 8}", "interactive" if n % 2 else "bulk", f"j{n}", 1, 1, 30) for n in range(160)]
    chosen = Lanes({}, 64).choose(offers, held, window)
    pages = {lane: sum(item.pages for item in chosen if item.lane == lane) for lane in ("interactive", "bulk")}
    reserve = max(1, window // RESERVE)
    assert pages["interactive"] <= max(0, window - reserve - interactive)
    assert pages["bulk"] <= max(0, window - interactive - bulk - pages["interactive"], reserve - bulk)
    assert bulk + pages["bulk"] >= min(reserve, 600), "interactive floods slow bulk, and cannot stop it"

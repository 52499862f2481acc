"""A place in the queue: against a simulated deficit round robin, and what must hold of any estimate."""

import math
import random
import statistics
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.lengths import Lengths
from producers.queueing import place, released_before
from schemas.control import LaneLoad, LoadReport
from schemas.jobs import QueuePlace
from schemas.ports import Backlog
from tests.property.queues import Document, Queue

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
    behind_its_own = released_before("a", "bulk", ahead, report(waiting, first={**first, "a": more}, weights=weights))
    assert math.isclose(behind_its_own, far), "a tenant's interactive work goes before its bulk"


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


def test_documents_not_counted_are_expected_to_be_as_long_as_their_tenants_are() -> None:
    load = LoadReport(
        at=datetime.now(UTC), bulk=LaneLoad(waiting={"a": 13, "b": 20}, uncounted={"a": 3, "b": 20}),
        pages_per_second=10, pages_per_document={"a": 5, "b": 2},
    )  # fmt: skip
    waits = Backlog("bulk", 12, 1, counted=False, uncounted_ahead=2)
    assert place("a", waits, load) == QueuePlace(pages_ahead=40, starts_in_seconds=4.0, ends_in_seconds=5.0)


def test_the_mean_of_a_tenants_documents_follows_those_counted_last() -> None:
    lengths = Lengths()
    assert lengths.of("a") == 1
    for number in range(200):
        lengths.count({("job", number): ("a", 4 if number < 50 else 10), ("other", 1): ("b", 100)})
    assert 9.5 < lengths.of("a") <= 10
    assert lengths.of("b") == 100
    assert 9.5 < lengths.of("new") < 11, "what all had"


CUSTOMERS = {"letters": (1.0, 60, 1, 4), "books": (1.0, 12, 10, 50), "mixed": (2.0, 30, 1, 20)}
"""Weight, documents, and from how many to how many pages they have."""


def waited(documents: list[Document], weights: dict[str, float], **more: Any) -> tuple[float, float]:
    """The median errors of the starts and of the ends that were told; `more` as `Queue` knows it."""
    queue = Queue(documents, weights, seconds=0.1, **more)
    queue.run()
    starts = queue.errors(lambda place: place.starts_in_seconds, lambda one: one.counted)
    ends = queue.errors(lambda place: place.ends_in_seconds, lambda one: one.ended)
    assert len(starts) > 100
    return statistics.median(starts), statistics.median(ends)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_comes_about_so_where_nobody_knows_how_long_documents_are(seed: int) -> None:
    drawn = random.Random(seed)
    documents = [
        Document(name, drawn.randint(least, most))
        for name, (_, count, least, most) in CUSTOMERS.items()
        for _ in range(count)
    ]
    starts, ends = waited(documents, {name: weight for name, (weight, *_) in CUSTOMERS.items()})
    assert (starts < 0.25, ends < 0.25) == (True, True), (starts, ends)


def alike() -> list[Document]:
    return [Document(name, pages) for name, pages in (("a", 1), ("b", 5), ("c", 30)) for _ in range(300 // pages)]


def test_what_is_told_comes_about_where_documents_are_alike() -> None:
    starts, ends = waited(alike(), {"b": 3.0})
    assert (starts < 0.05, ends < 0.05) == (True, True), (starts, ends)


def test_what_is_told_does_not_follow_every_moment_of_the_speed() -> None:
    drawn = random.Random(1)
    often = lambda now: drawn.lognormvariate(0, 0.5) * (1.8 if math.sin(now) > 0 else 1.0)  # noqa: E731
    starts, ends = waited(alike(), {}, slower=often)
    assert (starts < 0.15, ends < 0.15) == (True, True), (starts, ends)


def test_no_time_is_told_before_it_is_known_how_much_may_be_in_work() -> None:
    starts, ends = waited(alike(), {}, way=0.8)
    assert (starts < 0.15, ends < 0.07) == (True, True), (starts, ends)  # a start is seen 0.8 s after the release

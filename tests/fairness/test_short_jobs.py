"""Short jobs beside a tenant who has more than the machines can do: the whole stack, engines that only take time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import fairness
from bench.crowd import Crowd
from bench.machine import NEIGHBOURS_LIMIT
from deploy.local.session import Session
from tests.faults.neighbours import Neighbours

pytestmark = [pytest.mark.stack, pytest.mark.alone]

JOBS = 10
FLOODS = {"bulk": (8, 250), "flood": (100, 20)}


def test_short_jobs_take_no_more_than_twice_their_idle_time_and_the_dispatcher_does_not_grow(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with Session(tmp_path / "stack", fairness.SETTINGS) as stack:
        neighbours = Neighbours()
        told: list[str] = []
        found = fairness.measured(Crowd(stack), JOBS, FLOODS, told.append)
        others = neighbours.neighbours()
    record_property("fairness", told)
    memory = found["memory_mb"]
    assert max(memory.values()) - memory["idle"] <= fairness.LIMIT_MEMORY_MB
    slow = [case for case in found["cases"] if case["ratio"] > fairness.LIMIT]
    if (slow or found["dispatch_ms"] > fairness.LIMIT_DISPATCH_MS) and others > NEIGHBOURS_LIMIT:
        pytest.skip(f"inconclusive: others took {others:.0%} of the machine; {told}")
    assert not slow, told
    assert found["dispatch_ms"] <= fairness.LIMIT_DISPATCH_MS, told

"""What a flood costs the neighbour who sends little: the real lanes, turns and window against simulated steps."""

import statistics

import pytest

from schemas.envelope import Lane
from tests.property.floods import Farm

FLOODS: dict[str, tuple[Lane, int, int]] = {
    "a thousand pages a document, in bulk": ("bulk", 30, 1000),
    "a hundred pages a document, as interactive": ("interactive", 200, 100),
    "two pages a document, as interactive": ("interactive", 1500, 2),
}


def p95(flood: tuple[Lane, int, int] | None, lane: Lane, seconds: float) -> float:
    """Of jobs of two pages, once the flood has spent what goes first."""
    farm = Farm(seconds, 2, flood)
    until = 1.5 * 64 * seconds / 2 + 3
    while flood and farm.now < until:
        farm.step()
    return statistics.quantiles([farm.took(lane, 2) for _ in range(25)], n=20, method="inclusive")[18]


@pytest.mark.parametrize("seconds", [0.03, 0.25])
@pytest.mark.parametrize("lane", ["interactive", "bulk"])
@pytest.mark.parametrize("flood", FLOODS)
def test_beside_a_flood_a_short_job_takes_no_more_than_twice_its_idle_time(
    flood: str, lane: Lane, seconds: float
) -> None:
    assert p95(FLOODS[flood], lane, seconds) <= 2 * p95(None, lane, seconds)


def test_beside_a_flood_a_document_of_many_pages_gets_its_half_of_the_machines() -> None:
    farm, idle = Farm(0.03, 2, FLOODS["a thousand pages a document, in bulk"]), Farm(0.03, 2, None)
    while farm.now < 5:
        farm.step()
    assert farm.took("bulk", 200) <= 2.5 * idle.took("bulk", 200)

"""Histories that crash, repeat, delay and reorder: the promises hold in all of them, and a seed replays exactly."""

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulation.history import of_seed, run
from tests.simulation.plan import FATES, FAULTS, Fault, JobPlan, Plan, drawn, targets

SEEDS = int(os.environ.get("HEADRACE_SIMULATION_SEEDS", "250"))
EXAMPLES = int(os.environ.get("HEADRACE_SIMULATION_EXAMPLES", "60"))


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_no_seed_loses_doubles_or_strands_anything() -> None:
    for seed in range(SEEDS):
        history = of_seed(seed)
        assert not history.violations, f"again: python -m tests.simulation --seed {seed}: {history.violations[0]}"


def test_the_seeds_hold_every_fault_and_every_fate_with_several_jobs_and_workers() -> None:
    plans = [drawn(seed) for seed in range(SEEDS)]
    assert {fault.kind for plan in plans for fault in plan.faults} == set(FAULTS)
    assert {fate for plan in plans for job in plan.jobs for fate in job.pages} == set(FATES)
    assert {len({job.tenant for job in plan.jobs}) for plan in plans} == {1, 2}
    assert all(plan.faults for plan in plans)
    met = Counter[str]()
    for seed in range(40):
        history = of_seed(seed)
        met["deaths"] += history.deaths
        met["rebalances"] += history.rebalances
        met["redriven"] += any("PagesReopened" in line or "in run 2" in line for line in history.trace)
    assert met["deaths"] > 10
    assert met["rebalances"] > 200
    assert met["redriven"] > 0


def test_a_seed_replays_exactly_in_any_process() -> None:
    for seed in (3, 17):
        digests = {of_seed(seed).digest}
        for hashes in ("1", "2"):
            command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed)]
            environment = os.environ | {"PYTHONHASHSEED": hashes}
            told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            digests.add(told.rpartition("trace ")[2].split()[0])
        assert len(digests) == 1


def test_a_plan_survives_its_line() -> None:
    plan = drawn(7)
    assert Plan.parsed(plan.line()) == plan


times = st.integers(0, 1500).map(lambda millis: millis / 1000)
jobs = st.builds(
    JobPlan,
    tenant=st.sampled_from(("anna", "bert")),
    at=times,
    pages=st.lists(st.sampled_from(FATES), min_size=1, max_size=3).map(tuple),
    cancel=st.none() | times,
    again=st.sampled_from(("", "redrive", "resume")),
    lane=st.sampled_from(("interactive", "bulk")),
)
faults = st.sampled_from(FAULTS).flatmap(
    lambda kind: st.builds(
        Fault,
        kind=st.just(kind),
        at=times,
        target=st.sampled_from(targets(kind)),
        seconds=st.sampled_from((0.3, 1.0, 3.0, 6.0)),
        steps=st.integers(0, 150),
    )
)


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(
    plan=st.builds(
        Plan,
        seed=st.integers(0, 2**32),
        jobs=st.lists(jobs, min_size=1, max_size=3).map(tuple),
        faults=st.lists(faults, min_size=1, max_size=3).map(tuple),
        standby=st.booleans(),
        halts=st.booleans(),
    )
)
def test_no_plan_that_hypothesis_finds_breaks_a_promise(plan: Plan) -> None:
    history = run(plan)
    assert not history.violations, f"again: python -m tests.simulation --plan '{plan.line()}': {history.violations[0]}"

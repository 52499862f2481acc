"""The whole stack, killed while it works: nothing lost, nothing twice, back in seconds."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deploy.local.samples import invoice
from tests.faults import seeds
from tests.faults.documents import SCANNED, mixed
from tests.faults.killer import Killer
from tests.faults.submitter import Submitter
from tests.faults.suite import settle
from tests.faults.verdict import Expected, judge
from tests.faults.world import Plan, World
from tests.support import until

pytestmark = [pytest.mark.stack, pytest.mark.alone]
SERVED = ("kafka", "postgres", "weaviate")
EVERY_ROLE = (
    "prepare-1", "ocr-1", "ocr-2", "chunk-1", "embed-1", "projector-1", "index-pgvector-1", "index-weaviate-1",
    "relay-1", "eraser-1", "dispatcher-1", "dead-letters-1", "reconciler-1", "api-1", "api-2", *SERVED,
)  # fmt: skip


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world", Plan(settings=(("HEADRACE_ENGINES", request.param),))) as made:
        yield made


def _judged(world: World, killer: Killer, jobs: Mapping[str, int], tell: Callable[[str], None]) -> None:
    expected = {job: Expected("demo", pages=pages) for job, pages in jobs.items()}
    settle(world, expected, 300)
    verdict = judge(asyncio.run(world.history()), expected, world.plan.indexes)
    tell(f"{killer.table()}\n{verdict.parts} pages; work repeated: {dict(verdict.repeats)}")
    assert verdict.clean, verdict.told()
    assert not killer.slow(), "recovery took longer than promised"


@pytest.mark.needs("weaviate-server")
@pytest.mark.parametrize("world", ["sleep:0.02"], indirect=True)
def test_two_thousand_parts_and_kills_of_every_role_lose_nothing_in_any_store(
    world: World, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    documents = mixed(tmp_path, reports=90, scans=20)
    submitter, killer = Submitter(world.stack, documents, every=1.0), Killer(world.stack, world.servers)
    submitter.start()
    chance = random.Random(seeds.of())
    victims = [*EVERY_ROLE, *chance.choices(EVERY_ROLE, k=20 - len(EVERY_ROLE))]
    chance.shuffle(victims)
    for victim in victims:
        killer.anywhere(victim, chance)
    assert submitter.is_alive(), "the kills were to fall while documents come in"
    until(lambda: not submitter.is_alive(), 180, "every document accepted")
    hits = killer.windows()
    assert hits.total() == 20
    assert min(hits["handler"], hits["sink"], hits["commit"]) >= 2, "too few kills inside a window prove nothing"
    assert all(kill.in_flight for kill in killer.log if kill.window != "any"), "a kill without its offset in flight"
    jobs = {job: 10 if path.name == SCANNED else 20 for job, path in submitter.accepted.items()}
    assert sum(jobs.values()) == 2000
    _judged(world, killer, jobs, tell)


@pytest.mark.parametrize("world", ["real"], indirect=True)
def test_twelve_pages_of_real_ocr_and_four_kills(world: World, tmp_path: Path, tell: Callable[[str], None]) -> None:
    document = tmp_path / "invoice.pdf"
    invoice(document, 6)
    submitter, killer = Submitter(world.stack, [document] * 2, every=0.5), Killer(world.stack, world.servers)
    submitter.start()
    for slot, window in (("ocr-1", "handler"), ("embed-1", "handler"), ("ocr-2", "commit"), ("projector-1", "sink")):
        killer.at(slot, window)
    until(lambda: not submitter.is_alive(), 60, "every document accepted")
    _judged(world, killer, dict.fromkeys(submitter.accepted, 6), tell)

"""The whole stack, killed while it works: nothing lost, nothing twice, back in seconds.

`make test` kills eight processes over 600 pages, `make faults` twenty over 2,000.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deploy.local.samples import invoice
from tests.faults import seeds
from tests.faults.feeder import Feeder
from tests.faults.killer import Killer
from tests.faults.suite import settle
from tests.faults.verdict import Expected, judge
from tests.faults.world import Plan, World

pytestmark = [pytest.mark.stack, pytest.mark.alone]
STEPS = ("prepare-1", "ocr-1", "ocr-2", "chunk-1", "embed-1")
SINKS = ("projector-1", "index-pgvector-1", "index-weaviate-1", "relay-1", "dispatcher-1")
OTHERS = ("eraser-1", "dead-letters-1", "reconciler-1", "api-1", "api-2", "kafka", "postgres", "weaviate")
EVERY_ROLE = (*STEPS, *SINKS, *OTHERS)
PARTS = 2000 if seeds.whole() else 600
REAL_PAGES = 6 if seeds.whole() else 3
REAL_KILLS = (("ocr-1", "handler"), ("embed-1", "handler"), ("ocr-2", "commit"), ("projector-1", "sink"))


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world", Plan(settings=(("HEADRACE_ENGINES", request.param),))) as made:
        yield made


def _victims(chance: random.Random) -> list[str]:
    """Whom to kill, in which order: everyone, or some of each kind."""
    if seeds.whole():
        victims = [*EVERY_ROLE, *chance.choices(EVERY_ROLE, k=20 - len(EVERY_ROLE))]
    else:
        victims = [*chance.sample(STEPS, 3), *chance.sample(SINKS, 3), *chance.sample(OTHERS, 2)]
    chance.shuffle(victims)
    return victims


def _judged(world: World, killer: Killer, expected: Mapping[str, Expected], tell: Callable[[str], None]) -> None:
    settle(world, expected, 300)
    verdict = judge(asyncio.run(world.history()), expected, world.plan.indexes)
    tell(f"{killer.table()}\n{verdict.parts} pages; work repeated: {dict(verdict.repeats)}")
    assert verdict.clean, verdict.told()
    if seeds.whole():  # a time is promised where the machine is ours, and shown there; elsewhere it is what it is
        assert not killer.slow(), "recovery took longer than promised"


@pytest.mark.needs("weaviate-server")
@pytest.mark.parametrize("world", ["sleep:0.02"], indirect=True)
def test_kills_of_any_role_lose_nothing_in_any_store(world: World, tell: Callable[[str], None]) -> None:
    chance = random.Random(seeds.of())
    feeder, killer = Feeder(world, chance, every=0.5, least=PARTS // 8), Killer(world.stack, world.servers)
    feeder.start()
    victims = _victims(chance)
    for victim in victims:
        killer.anywhere(victim, chance)
    feeder.stop()
    hits = killer.windows()
    assert hits.total() == len(victims)
    enough = len(victims) // 8
    assert min(hits["handler"], hits["sink"], hits["commit"]) >= enough, "too few kills inside a window prove nothing"
    assert all(kill.in_flight for kill in killer.log if kill.window != "any"), "a kill without its offset in flight"
    assert sum(one.pages or 0 for one in feeder.accepted.values()) > 0.9 * PARTS
    _judged(world, killer, feeder.accepted, tell)


@pytest.mark.long
@pytest.mark.parametrize("world", ["real"], indirect=True)
def test_kills_under_real_ocr_lose_nothing(world: World, tmp_path: Path, tell: Callable[[str], None]) -> None:
    document = tmp_path / "invoice.pdf"
    invoice(document, REAL_PAGES)
    killer, content = Killer(world.stack, world.servers), document.read_bytes()
    with world.client("demo") as client:
        answers = [client.post("/v1/jobs", files={"file": (document.name, content)}).json() for _ in range(2)]
    for slot, window in REAL_KILLS if seeds.whole() else random.Random(seeds.of()).sample(REAL_KILLS, 2):
        killer.at(slot, window)
    _judged(world, killer, {answer["id"]: Expected("demo", pages=REAL_PAGES) for answer in answers}, tell)

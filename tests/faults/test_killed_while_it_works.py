"""The whole stack, killed while it works: nothing lost, nothing twice, back in seconds."""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.local.samples import invoice
from deploy.local.session import Session
from tests.faults.documents import SCANNED, mixed
from tests.faults.judge import Judge
from tests.faults.vector_server import VectorServer
from tests.faults.watch import SERVERS, SUPERVISED, Killer, Submitter
from tests.support import until

pytestmark = [pytest.mark.stack, pytest.mark.alone]
SEED = int(os.environ.get("HEADRACE_FAULT_SEED") or 5)
SERVED = ("kafka", "postgres", "weaviate")
EVERY_ROLE = (
    "prepare-1", "ocr-1", "ocr-2", "chunk-1", "embed-1", "projector-1", "index-pgvector-1", "index-weaviate-1",
    "relay-1", "eraser-1", "api-1", "api-2", *SERVED,
)  # fmt: skip
KILLS = (("ocr-1", "handler"), ("embed-1", "handler"), ("ocr-2", "commit"), ("projector-1", "sink"))


@pytest.fixture
def two_stores(tmp_path: Path) -> Iterator[tuple[Session, VectorServer]]:
    """A stack whose jobs need both indexes."""
    with ExitStack() as held:
        vectors = held.enter_context(VectorServer(tmp_path / "weaviate"))
        settings = {"HEADRACE_ENGINES": "sleep:0.02", "HEADRACE_INDEXES": "pgvector,weaviate", **vectors.settings}
        yield held.enter_context(_armed(tmp_path / "stack", settings)), vectors


def _armed(folder: Path, settings: Mapping[str, str]) -> Session:
    (folder / "run" / "failpoints").mkdir(parents=True)
    return Session(folder, settings)


async def _judged(judge: Judge, killer: Killer, jobs: Mapping[str, int], tell: Callable[[str], None]) -> None:
    await judge.settle(jobs, 300)
    effects = await judge.effects(jobs)
    events, repeats = judge.repeats()
    found = "\n".join(f"{name}: {count}" for name, count in effects.items())
    tell(f"{killer.table()}\n{found}\n{events} events on the log, {repeats} of them repeats of work")
    assert effects.pop("states") == {"succeeded": len(jobs)}
    assert {name: count for name, count in effects.items() if count} == {}
    slow = [kill for kill in killer.log if kill["recovery"] > (SERVERS if kill["slot"] in SERVED else SUPERVISED)]
    assert not slow, "recovery took longer than promised"


@pytest.mark.needs("weaviate-server")
async def test_two_thousand_parts_and_kills_of_every_role_lose_nothing_in_any_store(
    two_stores: tuple[Session, VectorServer], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    stack, vectors = two_stores
    documents = mixed(tmp_path, reports=90, scans=20)
    submitter, killer = Submitter(stack, documents, every=1.0), Killer(stack, vectors)
    submitter.start()
    chance = random.Random(SEED)
    victims = [*EVERY_ROLE, *chance.choices(EVERY_ROLE, k=20 - len(EVERY_ROLE))]
    chance.shuffle(victims)
    for victim in victims:
        killer.anywhere(victim, chance)
    assert submitter.is_alive(), "the kills were to fall while documents come in"
    until(lambda: not submitter.is_alive(), 180, "every document accepted")
    hits = Counter(kill["window"] for kill in killer.log)
    assert hits.total() == 20
    assert min(hits["handler"], hits["sink"], hits["commit"]) >= 2, "too few kills inside a window prove nothing"
    assert all(kill["at"] for kill in killer.log if kill["window"] != "any"), "a kill without its offset in flight"
    jobs = {job: 10 if path.name == SCANNED else 20 for job, path in submitter.accepted.items()}
    assert sum(jobs.values()) == 2000
    await _judged(Judge(stack, vectors), killer, jobs, tell)


async def test_twelve_pages_of_real_ocr_and_four_kills(tmp_path: Path, tell: Callable[[str], None]) -> None:
    document = tmp_path / "invoice.pdf"
    invoice(document, 6)
    with _armed(tmp_path / "stack", {"HEADRACE_ENGINES": "real"}) as stack:
        submitter, killer = Submitter(stack, [document] * 2, every=0.5), Killer(stack)
        submitter.start()
        for slot, window in (
            ("ocr-1", "handler"),
            ("embed-1", "handler"),
            ("ocr-2", "commit"),
            ("projector-1", "sink"),
        ):
            killer.at(slot, window)
        until(lambda: not submitter.is_alive(), 60, "every document accepted")
        await _judged(Judge(stack), killer, dict.fromkeys(submitter.accepted, 6), tell)

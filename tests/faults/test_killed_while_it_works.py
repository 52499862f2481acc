"""The whole stack, killed while it works: nothing lost, nothing twice, back in seconds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.samples import invoice, letters
from deploy.local.session import Session
from tests.faults.watch import SERVERS, SUPERVISED, Judge, Killer, Submitter
from tests.support import until

pytestmark = pytest.mark.stack
CLEAN = {
    "lost results": 0, "doubled results": 0, "results of no event": 0, "lost vectors": 0, "doubled vectors": 0,
    "ends told twice": 0, "ends not told": 0,
}  # fmt: skip


@pytest.fixture
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    (tmp_path / "stack" / "run" / "failpoints").mkdir(parents=True)
    with Session(tmp_path / "stack", {"HEADRACE_ENGINES": request.param}) as running:
        yield running


async def _judged(stack: Session, killer: Killer, jobs: list[str], pages: int, tell: Callable[[str], None]) -> None:
    judge = Judge(stack)
    await judge.settle(jobs, 180)
    effects = await judge.effects(jobs, pages)
    events, repeats = judge.repeats("headrace.events")
    tell(f"{killer.table()}\n{effects}\n{events} events on the log, {repeats} of them repeats of work")
    assert effects == {"states": {"succeeded": len(jobs)}, **CLEAN}
    slow = [k for k in killer.log if k["recovery"] > (SERVERS if k["slot"] in ("kafka", "postgres") else SUPERVISED)]
    assert not slow, "recovery took longer than promised"


@pytest.mark.parametrize("stack", ["sleep:0.5"], indirect=True)
async def test_two_hundred_pages_and_a_kill_of_every_role_in_every_window(
    stack: Session, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    document = tmp_path / "ten.pdf"
    letters(document, 10)
    submitter = Submitter(stack, [document] * 20, every=2.5)
    killer = Killer(stack)
    submitter.start()
    for slot, window in (
        ("prepare-1", "handler"), ("ocr-1", "handler"), ("projector-1", "sink"), ("embed-1", "commit"),
        ("index-pgvector-1", "sink"), ("chunk-1", "handler"),
    ):  # fmt: skip
        killer.at(slot, window)
    for slot in ("postgres", "api-1", "kafka"):
        killer.now(slot)
    for slot, window in (
        ("ocr-2", "commit"), ("projector-1", "sink"), ("embed-1", "handler"), ("index-pgvector-1", "commit"),
        ("projector-1", "commit"),
    ):  # fmt: skip
        killer.at(slot, window)
    until(lambda: not submitter.is_alive(), 180, "every document accepted")
    assert len(submitter.accepted) == 20
    assert len(killer.log) >= 12
    windows = [k["window"] for k in killer.log]
    assert min(windows.count(window) for window in ("handler", "sink", "commit")) >= 3
    assert all(k["at"] for k in killer.log if k["window"] != "any"), "a kill without its offset in flight"
    await _judged(stack, killer, submitter.accepted, 10, tell)


@pytest.mark.parametrize("stack", ["real"], indirect=True)
async def test_twelve_pages_of_real_ocr_and_four_kills(
    stack: Session, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    document = tmp_path / "invoice.pdf"
    invoice(document, 6)
    submitter = Submitter(stack, [document] * 2, every=0.5)
    killer = Killer(stack)
    submitter.start()
    for slot, window in (("ocr-1", "handler"), ("embed-1", "handler"), ("ocr-2", "commit"), ("projector-1", "sink")):
        killer.at(slot, window)
    until(lambda: not submitter.is_alive(), 60, "every document accepted")
    await _judged(stack, killer, submitter.accepted, 6, tell)

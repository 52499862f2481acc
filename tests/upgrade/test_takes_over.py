"""A running installation becomes this release's, process by process under load, and the last one's again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.verdict import Expected, judge
from tests.support import until
from tests.upgrade import releases
from tests.upgrade.callers import Callers
from tests.upgrade.fleet import Fleet, of_release
from tests.upgrade.releases import THIS

pytestmark = [pytest.mark.stack, pytest.mark.alone, pytest.mark.long]
ORDER = ("projector", "relay", "eraser", "index-pgvector", "embed", "chunk", "ocr", "prepare", "api")
"""Who is replaced first: what reads stands before what writes for it, so that nothing new meets an old reader."""
READS_OTHERS = ("prepare", "ocr")
"""The steps that read other topics in this release than in the last."""


def _in_order(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: ORDER.index(name.rpartition("-")[0]))


def _added() -> list[str]:
    """The slots that the last release did not have."""
    return [name for name in of_release(THIS) if name not in of_release(releases.last())]


def _judged(fleet: Fleet, groups: set[str], *callers: Callers) -> None:
    pages = {job: count for one in callers for job, count in one.stop().items()}
    until(lambda: fleet.ended(pages), 240, "every job to end")
    until(lambda: not fleet.behind(groups), 120, "every group to have read everything")
    expected = {job: Expected("demo", pages=count) for job, count in pages.items()}
    verdict = judge(asyncio.run(fleet.history()), expected, ("pgvector",))
    assert verdict.clean, verdict.told()
    assert fleet.dead_letters() == 0


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Fleet]:
    """An installation of the last release at work."""
    with Fleet(tmp_path / "stack", {"HEADRACE_ENGINES": "sleep:0.05"}) as fleet:
        before = releases.last()
        fleet.prepare(before)
        fleet.start(*of_release(before), release=before)
        yield fleet


def test_an_installation_is_upgraded_and_taken_back_under_load_and_nothing_is_lost_or_doubled(
    installed: Fleet, tmp_path: Path
) -> None:
    first = _calling(installed, tmp_path)
    _upgrade(installed)
    _judged(installed, set(), first)
    second = _calling(installed, tmp_path)
    _take_back(installed)
    _judged(installed, releases.groups(), first, second)


def _calling(fleet: Fleet, folder: Path) -> Callers:
    callers = Callers(fleet, folder, every=1.5, texts=True)
    until(lambda: len(callers.accepted) >= 4, 60, "load")
    return callers


def _upgrade(fleet: Fleet) -> None:
    """As `docs/upgrade.md` tells it."""
    fleet.prepare(THIS)
    fleet.start(*_added(), wait=False)  # the dispatcher waits until the last old `prepare` has ended
    for name in _in_order(of_release(releases.last())):
        fleet.replace(name, THIS)


def _take_back(fleet: Fleet) -> None:
    fleet.stop(*_added())
    for name in reversed(_in_order(of_release(releases.last()))):
        rest = fleet.session_seconds if name.rpartition("-")[0] in READS_OTHERS else 0.0
        fleet.replace(name, releases.last(), rest=rest)

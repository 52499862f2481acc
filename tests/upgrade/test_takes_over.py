"""A running installation becomes this release's, process by process under load, and the last one's again."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.documents import SCANNED, mixed
from tests.faults.submitter import Submitter
from tests.faults.verdict import Expected, judge
from tests.support import until
from tests.upgrade import releases
from tests.upgrade.fleet import Fleet, of_release
from tests.upgrade.releases import THIS

pytestmark = [pytest.mark.stack, pytest.mark.alone]
ORDER = ("projector", "relay", "eraser", "index-pgvector", "embed", "chunk", "ocr", "prepare", "api")
"""Who is replaced first: what reads stands before what writes for it, so that nothing new meets an old reader."""


def _in_order(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: ORDER.index(name.rpartition("-")[0]))


def _judged(fleet: Fleet, submitter: Submitter, groups: set[str]) -> None:
    until(lambda: not submitter.is_alive(), 120, "every document accepted")
    pages = {job: 10 if path.name == SCANNED else 20 for job, path in submitter.accepted.items()}
    until(lambda: fleet.ended(pages), 240, "every job to end")
    until(lambda: not fleet.behind(groups), 120, "every group to have read everything")
    expected = {job: Expected("demo", pages=count) for job, count in pages.items()}
    verdict = judge(asyncio.run(fleet.history()), expected, ("pgvector",))
    assert verdict.clean, verdict.told()
    assert fleet.dead_letters() == 0


def test_an_installation_is_upgraded_and_rolled_back_under_load_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    before = releases.last()
    documents = mixed(tmp_path, reports=30, scans=6)
    with Fleet(tmp_path / "stack", {"HEADRACE_ENGINES": "sleep:0.05"}) as fleet:
        old = of_release(before)
        added = [name for name in of_release(THIS) if name not in old]
        fleet.prepare(before)
        fleet.start(*old, release=before)
        submitter = Submitter(fleet, documents, every=1.0)
        submitter.start()
        until(lambda: len(submitter.accepted) >= 4, 60, "load on the release before")
        fleet.prepare(THIS)
        fleet.start(*added, wait=False)
        for name in _in_order(old):
            fleet.replace(name, THIS)
        upgraded = len(submitter.accepted)
        until(lambda: len(submitter.accepted) >= upgraded + 4, 60, "load on this release")
        fleet.stop(*added)
        for name in reversed(_in_order(old)):
            fleet.replace(name, before, rest=fleet.session_seconds)
        assert submitter.is_alive(), "documents were to come in all the while"
        _judged(fleet, submitter, releases.groups())


def test_an_upgraded_installation_ends_what_the_release_before_began(tmp_path: Path) -> None:
    before = releases.last()
    documents = mixed(tmp_path, reports=16, scans=4)
    with Fleet(tmp_path / "stack", {"HEADRACE_ENGINES": "sleep:0.05"}) as fleet:
        old = of_release(before)
        added = [name for name in of_release(THIS) if name not in old]
        fleet.prepare(before)
        fleet.start(*old, release=before)
        submitter = Submitter(fleet, documents, every=0.5)
        submitter.start()
        until(lambda: len(submitter.accepted) >= 4, 60, "load on the release before")
        fleet.prepare(THIS)
        fleet.start(*added, wait=False)
        for name in _in_order(old):
            fleet.replace(name, THIS)
        _judged(fleet, submitter, set())

"""The reconciler's one process: who leads, what it does when something is down, how it ends."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from schemas.errors import DependencyDown
from sinks import reconciler
from sinks.postgres.lead import Lead
from sinks.reconciler import Duty, Parts, Reconciler
from tests.sinks.databases import Database
from tests.support import until


class Rounds:
    """A duty whose rounds are counted; `down` makes them fail."""

    def __init__(self) -> None:
        self.made = 0
        self.down = False

    async def __call__(self, *, dry: bool = False) -> Counter[str]:
        if self.down:
            raise DependencyDown("it does not answer")
        self.made += 1
        return Counter()


class Process:
    """A reconciler as a task."""

    def __init__(self, database: Database, lease: float = 5) -> None:
        self.rounds, self.ready, self.holding = Rounds(), 0, 0.0
        duty = Duty("rounds", 0.01, self.rounds)
        self.lead = Lead(database.sink, "headrace.test", lease)
        self.reconciler = Reconciler(Parts(self.lead, [duty], self._is_ready, self._holds))
        self.task = asyncio.create_task(self.reconciler.run())

    def _is_ready(self) -> None:
        self.ready += 1

    def _holds(self, value: float) -> None:
        self.holding = value

    async def end(self) -> int:
        self.reconciler.stop()
        return await asyncio.wait_for(self.task, 5)


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "LEAD_SECONDS", 0.05)
    monkeypatch.setattr(reconciler, "HOLD_SECONDS", 0.05)


async def test_one_works_and_the_other_takes_over_when_it_ends(database: Database) -> None:
    first = Process(database)
    await eventually(lambda: first.rounds.made > 2)
    second = Process(database)
    await eventually(lambda: second.ready == 1)
    assert second.rounds.made == 0
    assert await first.end() == 0
    await eventually(lambda: second.rounds.made > 2)
    assert await second.end() == 0
    assert (first.ready, second.ready) == (1, 1)


async def test_who_loses_the_connection_stops_working_and_leads_again_when_it_can(database: Database) -> None:
    process = Process(database)
    await eventually(lambda: process.rounds.made > 0)
    admin = await asyncpg.connect(database.admin)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'headrace.test'"
    )
    await eventually(lambda: process.holding == 1)
    await eventually(lambda: process.holding == 0)
    before = process.rounds.made
    await eventually(lambda: process.rounds.made > before)
    await admin.close()
    assert await process.end() == 0


async def test_a_process_that_hangs_loses_the_lead_to_the_next(database: Database) -> None:
    hung = Lead(database.sink, "headrace.hung", 0.5)
    assert await hung.held()
    heir = Lead(database.sink, "headrace.hung", 5)
    assert not await heir.held()
    async with asyncio.timeout(10):
        while not await heir.held():  # the hung one asks no more
            await asyncio.sleep(0.05)
    with pytest.raises(DependencyDown):
        await hung.held()
    assert not await hung.held()
    for lead in (hung, heir):
        lead.release()


async def test_a_duty_that_cannot_be_done_is_tried_again_and_said(database: Database) -> None:
    process = Process(database)
    await eventually(lambda: process.rounds.made > 0)
    process.rounds.down = True
    await eventually(lambda: process.holding == 1)
    process.rounds.down = False
    await eventually(lambda: process.holding == 0)
    assert await process.end() == 0


def test_its_process_works_on_every_duty_and_ends_when_told(database: Database, tmp_path: Path) -> None:
    told = {"POSTGRES": database.sink, "BLOBS": (tmp_path / "blobs").as_uri(), "RUN_DIR": str(tmp_path)}
    environment = os.environ | {f"HEADRACE_{name}": value for name, value in told.items()}
    environment |= {"HEADRACE_SLOT": "reconciler-1", "HEADRACE_WEAVIATE": ""}
    process = subprocess.Popen([sys.executable, "-P", "-m", "sinks.worker", "reconciler"], env=environment)
    try:
        until(lambda: (tmp_path / "reconciler-1.ready").exists(), 30, "it is ready")
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0

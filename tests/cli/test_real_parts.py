"""The doctor and the demonstration on the real thing."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import demo, server_checks
from cli.errors import CliError, Exit
from deploy.local import ports
from deploy.local.layout import Layout
from producers import provisioning
from schemas.broker import Broker
from tests.sinks.databases import fresh, rows

ROOT = Path(__file__).parents[2]


def test_the_doctor_sees_topics_and_migrations(
    kafka: Broker, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provisioning.apply(kafka, dev=True)
    database = fresh(postgres)
    monkeypatch.setenv("HEADRACE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("HEADRACE_POSTGRES_ADMIN", database.admin)
    assert [check.state for check in server_checks.topics(tmp_path)] == ["ok"]
    assert [check.state for check in server_checks.migrations(tmp_path)] == ["ok"]
    asyncio.run(rows(database.admin, "UPDATE alembic_version SET version_num = '0000'"))
    [stale] = server_checks.migrations(tmp_path)
    assert (stale.state, "0000" in stale.detail) == ("fail", True)
    monkeypatch.setenv("HEADRACE_POSTGRES_ADMIN", f"postgresql://nobody@127.0.0.1:{ports.free(1)[0]}/none")
    assert [check.state for check in server_checks.migrations(tmp_path)] == ["fail"]


def test_a_stack_that_does_not_come_up_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("no json")
    with pytest.raises(CliError) as told, demo._stack(tmp_path):
        pytest.fail("the stack cannot have come up")
    assert told.value.code == Exit.UNREACHABLE
    assert "JSONDecodeError" in str(told.value)
    assert told.value.hint


@pytest.mark.stack
@pytest.mark.long
def test_the_demonstration_reads_searches_and_stops_everything(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", "--data-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"HEADRACE_ENGINES": "fake"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "-- page 2 of 2" in done.stdout
    assert "box" in done.stdout.rpartition("-- search")[2]
    assert "stack ready in" in done.stderr
    assert Layout(tmp_path).holder() is None

"""What stands in the documentation for subscribers does what it says."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from schemas.broker import Broker
from schemas.codec import encode
from schemas.documents import Payload
from schemas.envelope import Envelope, new_trace
from schemas.jobs import JobState
from schemas.plans import DOCUMENT
from schemas.results import DocumentDeleted, JobEnded, PageEnded
from schemas.topics import RESULTS
from tests.relay.harness import RelayProcess, put, relayed
from tests.sinks.databases import Database
from tests.support import delete_records, until

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/subscribe.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(KCAT,) = re.findall(r"^kcat .*$", PAGE, re.MULTILINE)


@pytest.fixture
async def job(broker: Broker, database: Database, since: dict[int, int], relay: Callable[..., RelayProcess]) -> str:
    """A job that ended, told through outbox and relay, on a topic where only the relay's events lie."""
    delete_records(broker, RESULTS.name)
    name = f"job_{uuid.uuid4().hex}"
    relay()
    connection = await asyncpg.connect(database.sink)
    at = datetime(2026, 11, 21, tzinfo=UTC)
    result = f"/v1/jobs/{name}/result"
    await _tell(connection, name, 1, PageEnded(state="succeeded", text="Zażółć", result=f"/v1/jobs/{name}/pages/1"))
    await _tell(connection, name, 2, PageEnded(state="failed"))
    ended = JobEnded(state=JobState.PARTIAL, pages_total=2, pages_succeeded=1, result=result, finished_at=at)
    await _tell(connection, name, 0, ended)
    await _tell(connection, "", 0, DocumentDeleted(), document=f"doc-{name}")
    await connection.close()
    await relayed(broker, database, since)
    return name


async def _tell(connection: asyncpg.Connection, job: str, part: int, payload: Payload, document: str = "doc") -> None:
    envelope = Envelope(
        id=uuid.uuid4(), kind=payload.kind(), at=datetime.now(UTC), job=job, run=1, part=part, tenant="demo",
        plan=DOCUMENT.hash, document=document, traceparent=new_trace(),
    )  # fmt: skip
    await put(connection, encode(RESULTS.name, envelope, payload), "demo", envelope.id)


def _lines(job: str) -> list[str]:
    return [
        f"{job} page 1 succeeded 'Zażółć'",
        f"{job} page 2 failed None",
        f"{job} partial 1 of 2 pages /v1/jobs/{job}/result",
    ]


def test_the_example_prints_what_ended(broker: Broker, job: str, tmp_path: Path) -> None:
    printed = tmp_path / "printed"
    env = {**os.environ, "HEADRACE_KAFKA": broker.bootstrap, "PYTHONIOENCODING": "utf-8"}
    with printed.open("wb") as output:
        reader = subprocess.Popen([sys.executable, "-c", EXAMPLE], env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: f"doc-{job} deleted" in printed.read_text(), 30, "the document's deletion is printed")
        until(lambda: f"{job} partial" in printed.read_text(), 30, "the job's end is printed")
    finally:
        reader.kill()
        reader.wait()
    lines = printed.read_text().splitlines()
    assert [line for line in lines if line.startswith(job)] == _lines(job)


@pytest.mark.needs("kcat")
def test_the_line_for_kcat_prints_readable_results(broker: Broker, job: str) -> None:
    env = {**os.environ, "HEADRACE_KAFKA": broker.bootstrap}
    printed = subprocess.run(["sh", "-c", KCAT], env=env, capture_output=True, check=True, timeout=60).stdout
    own = [line for line in printed.decode(errors="replace").splitlines() if line.startswith(f"{job} ")]
    assert len(own) == 3
    assert own[0].startswith(f'{job} {{"state":"succeeded"')
    assert "Zażółć" in own[0]
    assert f'"result":"/v1/jobs/{job}/result"' in own[2]


def test_the_readme_shows_the_same_examples() -> None:
    readme = (ROOT / "README.md").read_text()
    assert EXAMPLE in readme
    assert KCAT in readme

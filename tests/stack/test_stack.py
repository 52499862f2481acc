"""The whole embedded stack with fake engines: real Kafka, PostgreSQL and processes, killed one after the other."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from confluent_kafka.admin import AdminClient

from schemas.topics import GROUPS, OPTIONAL_GROUPS
from tests.stack.running import Running, alive, headrace, running
from tests.support import until

pytestmark = pytest.mark.stack
READY_SECONDS = 120.0  # a loaded machine starts nine Python processes slowly


def _environment() -> dict[str, str]:
    given = {key: value for key, value in os.environ.items() if not key.startswith("HEADRACE_")}
    return given | {"HEADRACE_ENGINES": "fake", "HEADRACE_OCR_WORKERS": "2", "HEADRACE_SESSION_SECONDS": "6"}


def _up(data: Path) -> list[str]:
    return headrace("up", "--data-dir", str(data))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("stack")
    with running(data, _up(data), _environment()) as up:
        up.ready(READY_SECONDS)
        yield up


def _slots(stack: Running) -> dict[str, dict[str, Any]]:
    return {slot["slot"]: slot for slot in stack.ready(READY_SECONDS)["slots"]}


def test_every_step_and_sink_is_a_process_and_a_consumer_group_of_its_own(stack: Running) -> None:
    slots = _slots(stack)
    assert len({slot["pid"] for slot in slots.values()}) == len(slots) == 17
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{slots['kafka']['port']}"})
    described = {
        name: future.result(10)
        for name, future in admin.describe_consumer_groups(sorted(GROUPS.keys() - OPTIONAL_GROUPS)).items()
    }
    members = {name: sorted(member.group_instance_id for member in group.members) for name, group in described.items()}
    assert members == {
        "headrace.prepare": ["prepare-1"],
        "headrace.ocr": ["ocr-1", "ocr-2"],
        "headrace.chunk": ["chunk-1"],
        "headrace.embed": ["embed-1"],
        "headrace.projector": ["projector-1"],
        "headrace.index-pgvector": ["index-pgvector-1"],
        "headrace.eraser": ["eraser-1"],
        "headrace.dead-letters": ["dead-letters-1"],
        "headrace.webhooks": ["webhooks-1"],
        "headrace.dispatcher": ["dispatcher-1"],
    }


def test_both_api_processes_answer_on_their_own_port_and_all_on_one(stack: Running) -> None:
    slots = _slots(stack)
    own = [f"http://127.0.0.1:{slots[name]['port']}" for name in ("api-1", "api-2")]
    for url in (*own, stack.ready()["url"]):
        assert httpx2.get(f"{url}/livez").status_code == 200
    for name in ("prepare-1", "projector-1"):
        assert httpx2.get(f"http://127.0.0.1:{slots[name]['port']}/livez").status_code == 200


def test_secrets_reach_only_the_processes_that_use_them(stack: Running) -> None:
    told = {name: psutil.Process(slot["pid"]).environ() for name, slot in _slots(stack).items()}
    assert {name for name in told if "HEADRACE_API_KEYS" in told[name]} == {"api-1", "api-2"}
    assert {name for name in told if "HEADRACE_POSTGRES" in told[name]} == {
        "api-1", "api-2", "projector-1", "index-pgvector-1", "relay-1", "dead-letters-1", "reconciler-1", "webhooks-1",
        "dispatcher-1",
    }  # fmt: skip
    assert not any("HEADRACE_POSTGRES_ADMIN" in environment for environment in told.values())


def test_status_says_so_to_people_and_machines(stack: Running) -> None:
    command = headrace("status", "--data-dir", str(stack.data))
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "api-1" in shown
    assert "ready" in shown
    machine = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert f'"pid": {stack.process.pid}' in machine


@pytest.mark.parametrize(
    ("slot", "seconds"),
    [("ocr-1", 5), ("chunk-1", 5), ("projector-1", 5), ("api-2", 5), ("postgres", 30), ("kafka", 30)],
)
def test_a_killed_process_comes_back_under_its_slot_in_time(stack: Running, slot: str, seconds: float) -> None:
    before = _slots(stack)[slot]
    os.kill(before["pid"], signal.SIGKILL)

    def recovery() -> float | None:
        mine = [event for event in stack.events() if event["slot"] == slot]
        ended = [event["at"] for event in mine if event["event"] == "exit" and event["pid"] == before["pid"]]
        ready = [event["at"] for event in mine if event["event"] == "ready" and ended and event["at"] > ended[-1]]
        return ready[-1] - ended[-1] if ready else None

    took = until(recovery, READY_SECONDS, f"{slot}'s return")
    if os.getloadavg()[0] < (os.cpu_count() or 1) + 1:  # on a busier machine the time says nothing
        assert took <= seconds
    assert _slots(stack)[slot]["restarts"] > before["restarts"]


def test_after_kill_nine_of_the_supervisor_the_next_up_takes_over_and_down_ends_all(
    stack: Running,
) -> None:
    before, address = stack.pids(), stack.ready(READY_SECONDS)["url"]
    stack.process.kill()
    stack.process.wait()
    with running(stack.data, _up(stack.data), _environment()) as again:
        until(lambda: (again.status() or {}).get("pid") == again.process.pid, READY_SECONDS, "the new supervisor")
        assert not any(alive(pid) for pid in before.values())
        assert again.ready(READY_SECONDS)["url"] == address
        pids = again.pids()
        down = subprocess.run(headrace("down", "--data-dir", str(stack.data)), timeout=100, check=False)
        assert down.returncode == 0
        assert again.process.wait(10) == 0
    assert not any(alive(pid) for pid in pids.values())

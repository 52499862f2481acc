"""The supervisor over trivial children: what it does when something is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local import leftovers
from deploy.local.journal import Journal
from deploy.local.layout import Layout
from deploy.local.slots import Keeper, Slot
from tests.stack.running import Running, alive, headrace, running, trivial
from tests.support import until


def test_a_later_phase_starts_only_when_the_earlier_one_works(tmp_path: Path) -> None:
    with running(tmp_path, trivial(tmp_path)) as stack:
        stack.ready()
        order = [(event["slot"], event["event"]) for event in stack.events()]
        assert order.index(("first", "ready")) < order.index(("second", "start"))
        until(lambda: "ready" in stack.said.splitlines(), 20, "the stack up")  # said after it is written down


def test_sigterm_leaves_no_child_and_no_mark(tmp_path: Path) -> None:
    with running(tmp_path, trivial(tmp_path)) as stack:
        stack.ready()
        pids = stack.pids()
        stack.process.terminate()
        assert stack.process.wait(20) == 0
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids.values())
    assert not list((tmp_path / "run").glob("*.ready"))
    assert stack.status() is None


def test_ctrl_c_ends_it_as_a_shell_expects(tmp_path: Path) -> None:
    with running(tmp_path, trivial(tmp_path)) as stack:
        stack.ready()
        pids = stack.pids()
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(20) != 0  # KeyboardInterrupt goes on to the command line, which exits 130
    assert not any(alive(pid) for pid in pids.values())


def test_who_works_comes_after_who_starts(tmp_path: Path) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with running(tmp_path, trivial(tmp_path)) as stack:
        stack.ready()
        for pid in stack.pids().values():
            assert os.getpriority(os.PRIO_PROCESS, pid) > own
            shared = Path(f"/proc/{pid}/autogroup")  # "/autogroup-7 nice 7"
            assert not shared.exists() or int(shared.read_text().split()[-1]) > 0


def test_a_second_supervisor_is_refused_with_one_line_that_names_the_first(tmp_path: Path) -> None:
    with running(tmp_path, trivial(tmp_path)) as stack:
        stack.ready()
        second = subprocess.run(
            headrace("up", "--data-dir", str(tmp_path)), capture_output=True, text=True, timeout=60, check=False
        )
        assert second.returncode == 1
        assert second.stderr.splitlines()[0] == f"error: a stack is already up in {tmp_path} (pid {stack.process.pid})"
        assert stack.process.poll() is None


def test_a_killed_child_comes_back_under_its_slot_at_once(tmp_path: Path) -> None:
    with running(tmp_path, trivial(tmp_path)) as stack:
        stack.ready()
        before = stack.pids()
        os.kill(before["second"], signal.SIGKILL)
        after = until(lambda: _back(stack, before), 20, "the second child")
        assert {name for name in after if after[name] != before[name]} == {"second"}
        ended = next(event for event in stack.events() if event["event"] == "exit")
        again = [event for event in stack.events() if event["slot"] == "second" and event["event"] == "start"][-1]
        assert (ended["slot"], ended["pid"], ended["code"]) == ("second", before["second"], -9)
        assert again["at"] - ended["at"] < 0.1
        assert "second (pid " in stack.said
        assert "killed by SIGKILL" in stack.said


def _back(stack: Running, before: dict[str, int]) -> dict[str, int] | None:
    status = stack.status()
    pids = stack.pids()
    ready = status is not None and all(slot["ready"] for slot in status["slots"])
    return pids if ready and pids != before else None


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal of a parent is Linux's")
def test_children_do_not_outlive_a_killed_supervisor_and_the_next_one_starts_clean(tmp_path: Path) -> None:
    with running(tmp_path, trivial(tmp_path)) as stack:
        stack.ready()
        first = stack.pids()
        stack.process.kill()
        stack.process.wait()
        until(lambda: not any(alive(pid) for pid in first.values()), 20, "the children's end")
        assert (tmp_path / "run" / "first.ready").exists()
        with running(tmp_path, trivial(tmp_path)) as again:
            until(lambda: (again.status() or {}).get("pid") == again.process.pid, 20, "the new status")
            again.ready()
            assert not set(again.pids().values()) & set(first.values())


def test_what_a_killed_supervisor_left_is_ended_by_the_next(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.make()
    left = subprocess.Popen(["sleep", "600"])
    try:
        leftovers.record(place.children, [left.pid])
        with running(tmp_path, trivial(tmp_path)) as stack:
            stack.ready()
            assert "ended 1 processes" in stack.said
        assert left.wait(10) == -signal.SIGTERM
    finally:
        left.kill()
        left.wait()


def test_a_stranger_that_has_the_number_of_an_old_child_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        record = tmp_path / "children.json"
        started = psutil.Process(stranger.pid).create_time() - 100
        record.write_text(json.dumps([{"pid": stranger.pid, "started": started}]))
        assert leftovers.end(record) == []
        assert stranger.poll() is None
        assert not record.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_child_that_ends_again_and_again_is_started_less_often_and_its_log_shown(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.make()
    said: list[str] = []
    keeper = Keeper(
        Slot("broken", "worker", ("/bin/sh", "-c", "echo no such model; exit 3")),
        place,
        Journal(place.events, said.append),
    )
    now = 1000.0
    keeper.tick(now)
    for delay in (0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        _wait_for_exit(keeper)
        keeper.tick(now)
        if delay:  # without one the next process is there at once, and may have ended before another tick
            assert keeper.child is None
            keeper.tick(now + delay - 0.001)
            assert keeper.child is None
            keeper.tick(now + delay)
        assert keeper.child is not None
        now += delay
    _wait_for_exit(keeper)
    assert "broken" in said[0]
    assert "exit code 3" in said[0]
    assert "no such model" not in said[1]
    assert "no such model" in said[2]


def test_a_child_that_lived_long_enough_is_restarted_at_once_again(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.make()
    keeper = Keeper(Slot("late", "worker", ("/bin/true",)), place, Journal(place.events, lambda _: None))
    now = 1000.0
    keeper.tick(now)
    _wait_for_exit(keeper)
    keeper.tick(now)
    _wait_for_exit(keeper)
    keeper.tick(now + 10)
    assert keeper.child is not None
    _wait_for_exit(keeper)


def test_a_ready_mark_of_another_process_does_not_count(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.make()
    keeper = Keeper(Slot("one", "worker", ("sleep", "600")), place, Journal(place.events, lambda _: None))
    keeper.tick(0.0)
    assert keeper.child is not None
    try:
        place.ready("one").write_text(json.dumps({"pid": keeper.child.pid + 1, "at": 1.0}))
        keeper.tick(1.0)
        assert not keeper.ready
        place.ready("one").write_text(json.dumps({"pid": keeper.child.pid, "at": 1.0}))
        keeper.tick(2.0)
        assert keeper.ready
    finally:
        keeper.child.kill()
        keeper.child.wait()


def _wait_for_exit(keeper: Keeper) -> None:
    assert keeper.child is not None
    keeper.child.wait(10)

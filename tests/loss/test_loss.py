"""The loss suite: both streams, the same cases, the real broker.

Lost must be 0 in each; repeated work is counted and shown.
The short ones in `make test`; `make loss` repeats the random ones with other seeds (`HEADRACE_LOSS_ROUNDS`).
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from deploy.local import children, ports
from deploy.local.kafka import Kafka
from producers.clients import librdkafka
from schemas.control import ControlEntry
from schemas.topics import DEAD_LETTERS, PREPARE, PREPARE_INTERACTIVE
from tests.loss.harness import Bench
from tests.support import read, until

Foreign = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]
"""Key, value and headers of a record that nothing of ours wrote."""
ADDED = 5
"""Headers that a dead letter has beside those of its record."""


@pytest.fixture(params=range(int(os.environ.get("HEADRACE_LOSS_ROUNDS", "1"))))
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Seeded, so that a failing round can be run again."""
    return random.Random(int(os.environ.get("HEADRACE_LOSS_SEED", "0")) + request.param)


def _complete(bench: Bench, count: int, seconds: float = 60) -> None:
    until(lambda: len(bench.emitted()) >= count, seconds, f"{count} parts on the output topic")
    assert set(bench.emitted()) == set(range(count)), "a part is lost"


def test_a_handler_that_raises_loses_nothing_and_harms_no_neighbour(bench: Bench) -> None:
    bench.feed(range(40))
    bench.start(raises_at=[0, 13])
    until(lambda: len(bench.dead()) == 2, 60, "both dead letters")
    until(lambda: len(bench.emitted()) == 38, 30, "all others")
    assert set(bench.emitted()) == set(range(40)) - {0, 13}
    assert {letter["headrace_code"] for letter in bench.dead()} == {"internal"}
    assert bench.noted("start")[13] >= 3, "tried three times before it was rejected"
    until(lambda: sum(bench.committed().values()) == 40, 10, "offsets pass dead letters")


def test_records_that_cannot_be_decoded_are_dead_letters_with_their_bytes(bench: Bench) -> None:
    whole, large = bench.envelope(99).headers(), ("anything", b"x" * 900_000)
    foreign: list[Foreign] = [
        *((b"raw", value, ()) for value in (b'{"bad json', b"", b"\xff\xfe\x00", b"null")),
        (None, b"{}", ()),
        (b"k", None, ()),
        (None, None, ()),
        (b"k", None, whole),
        (b"k", b"{}", (*whole, ("ce_id", None))),
        (None, b"v", (large,)),
    ]
    bench.feed(range(140))  # of each partition 35: where more than a quarter goes wrong, the step halts
    _put(bench, foreign)
    bench.feed(range(140, 160))
    bench.start()
    _complete(bench, 160)
    until(lambda: sum(bench.committed().values()) == 160 + len(foreign), 20, "offsets pass dead letters")
    kept = [
        (key or b"", value, tuple((name, told or b"") for name, told in headers)) for key, value, headers in foreign
    ]
    assert Counter(_letters(bench)) == Counter(kept)
    assert all(letter["headrace_code"] == "invalid_record" for letter in bench.dead())


def _put(bench: Bench, records: Iterable[Foreign]) -> None:
    """Straight onto the topic, as nothing of ours would."""
    producer = Producer(librdkafka(bench.broker))
    for key, value, headers in records:
        producer.produce(bench.topic, value, key, partition=0, headers=list(headers))
    assert producer.flush(20) == 0


def _letters(bench: Bench) -> list[Foreign]:
    """Key, value and headers of each record of this bench that was given up, as its dead letter has them."""
    found = [(each.key(), each.value(), tuple(each.headers())) for each in read(bench.broker, DEAD_LETTERS.name)]
    ours = [each for each in found if dict(each[2])["headrace_position"].startswith(f"{bench.topic}[".encode())]
    return [(key, value, headers[:-ADDED]) for key, value, headers in ours]


def test_a_slow_head_holds_the_commit_while_others_finish_and_comes_back_after_a_kill(bench: Bench) -> None:
    bench.feed(range(20))
    member = bench.start(newer_at=[0], limit=1)  # whose wait nothing but another release ends
    until(lambda: bench.noted("done").total() >= 19, 40, "all but the head")
    before = bench.committed()
    bench.stop(member, signal.SIGKILL)
    assert before[0] == 0, "the head's partition was committed past it"
    bench.start()
    _complete(bench, 20)


@pytest.mark.long
def test_kill_9_in_the_middle_of_a_batch_loses_nothing(bench: Bench, dice: random.Random) -> None:
    bench.feed(range(400))
    member = bench.start(seconds=0.005)
    for kill in range(1, 4):
        reached = dice.randrange(60, 90) * kill
        until(lambda reached=reached: bench.noted("done").total() >= reached, 40, "progress")
        time.sleep(dice.random() * 0.05)  # anywhere in a batch: the moment is the experiment, not a synchronisation
        bench.stop(member, signal.SIGKILL)
        member = bench.start(seconds=0.005)
    _complete(bench, 400)
    assert not bench.dead(), "an innocent record was given up"


def test_sigterm_in_the_middle_of_a_batch_finishes_it_and_repeats_nothing(bench: Bench) -> None:
    bench.feed(range(200))
    member = bench.start(seconds=0.02)
    until(lambda: bench.noted("done").total() >= 50, 40, "progress")
    assert bench.stop(member, seconds=12) == 0
    bench.start()
    _complete(bench, 200)
    assert set(bench.emitted().values()) == {1}, "a clean stop doubled work"


@pytest.mark.long
def test_members_that_come_go_and_die_lose_nothing(bench: Bench, dice: random.Random) -> None:
    bench.feed(range(600))
    first = bench.start("loss-1", seconds=0.01)
    bench.ready("loss-1")
    second = bench.start("loss-2", seconds=0.01)
    bench.ready("loss-2")
    until(lambda: bench.noted("done").total() >= dice.randrange(100, 200), 60, "progress")
    assert bench.stop(first) == 0
    bench.stop(second, signal.SIGKILL)
    bench.start("loss-2", seconds=0.005)
    _complete(bench, 600, 90)  # the first slot stays away: its partitions come over when its session has ended


def test_a_poison_pill_is_a_dead_letter_after_three_deaths_and_never_run_again(bench: Bench) -> None:
    bench.feed(range(30))
    deaths = 0
    member = bench.start(dies_at=[7])
    until(lambda: member.poll() is not None, 40, "the first death")
    while deaths < 6 and not bench.dead():
        deaths += 1
        member = bench.start(dies_at=[7])
        until(lambda last=member: last.poll() is not None or bench.dead(), 40, "a death, or the dead letter")
    until(lambda: len(bench.emitted()) >= 29, 40, "all others")
    assert set(bench.emitted()) == set(range(30)) - {7}
    assert [letter["headrace_code"] for letter in bench.dead()] == ["poison_record"]
    assert bench.noted("start")[7] == 3, "a fourth try"


def test_a_step_whose_records_go_wrong_halts_stays_halted_over_a_restart_and_goes_on_when_told(bench: Bench) -> None:
    wrong = [number for number in range(300) if number // 4 % 10 < 3]  # of each partition the same share
    bench.feed(range(300))
    name = bench.group.removeprefix("headrace.")
    member = bench.start(nonsense_at=wrong, name=name, seconds=0.005)
    until(lambda: name in bench.log() and "halts" in bench.log(), 60, "the step to halt")
    until(lambda: f"headrace steps resume {name}" in bench.log(), 20, "the worker to say how it goes on")
    dead, done = len(bench.dead()), bench.noted("done").total()
    assert dead < 16, "more dead letters than it takes to see what is wrong"
    assert sum(bench.committed().values()) < 300
    assert bench.stop(member, seconds=12) == 0, "a halted worker drains at once"
    member = bench.start(name=name)  # the cause is gone, the order is not
    bench.ready()
    until(lambda: bench.log().count("to go on: headrace steps resume") == 2, 20, "the new worker to find the order")
    assert bench.noted("done").total() == done
    bench.resume(name)
    until(lambda: len(bench.emitted()) == 300 - dead, 60, "all that was not given up")
    assert len(bench.dead()) == dead, "the halt gave up nothing more"
    until(lambda: sum(bench.committed().values()) == 300, 10, "offsets")
    assert member.poll() is None


def test_a_missing_topic_is_refused_with_what_to_do(bench: Bench) -> None:
    member = bench.start(topic="never-made")
    assert member.wait(30) != 0
    log = (bench.folder / "loss-1.log").read_text()
    assert "missing topics never-made" in log
    assert "headrace topics apply" in log


def test_a_cancelled_job_is_skipped_and_its_offsets_pass(bench: Bench) -> None:
    bench.order(ControlEntry(action="cancel").model_dump_json().encode())
    bench.feed(range(12))
    bench.start()
    until(lambda: sum(bench.committed().values()) == 12, 40, "offsets of a cancelled job")
    assert not bench.emitted()
    assert not bench.noted("start")


def test_of_two_topics_under_backlog_interactive_goes_first_and_kills_lose_nothing_of_either(tmp_path: Path) -> None:
    bulk, interactive = range(300), range(300, 500)
    server = Kafka(tmp_path / "kafka", *ports.free(2))
    with children.running(server):
        bench = Bench(server.broker, tmp_path, "kafka")
        bench.topic = PREPARE.name
        told = {"more": [PREPARE_INTERACTIVE.name], "seconds": 0.005}
        bench.feed(bulk)
        member = bench.start(**told)
        until(lambda: bench.noted("done").total() >= 40, 40, "a loop that is full of bulk")
        before = _of(bench, bulk)
        bench.feed(interactive, topic=PREPARE_INTERACTIVE.name)
        for kill in range(1, 3):
            until(lambda kill=kill: _of(bench, interactive) >= 60 * kill, 40, "progress of the first class")
            bench.stop(member, signal.SIGKILL)
            member = bench.start(**told)
        until(lambda: _of(bench, interactive) == len(interactive), 40, "all of the first class")
        assert _of(bench, bulk) - before < len(interactive) / 2, "bulk went beside it as if there were no classes"
        _complete(bench, 500)
        assert not bench.dead()
        bench.close()


def _of(bench: Bench, numbers: range) -> int:
    return sum(number in numbers for number in bench.noted("done"))


@pytest.mark.long
@pytest.mark.parametrize("stream", ["faust", "kafka"])
def test_a_broker_killed_and_restarted_loses_nothing_and_workers_come_back_alone(stream: str, tmp_path: Path) -> None:
    server = Kafka(tmp_path / "kafka", *ports.free(2))
    broker = children.start(server)
    try:
        bench = Bench(server.broker, tmp_path, stream)
        bench.feed(range(300))
        member = bench.start(seconds=0.01)
        until(lambda: bench.noted("done").total() >= 60, 40, "progress")
        broker.kill()
        broker.wait()
        reached = bench.noted("done").total()
        broker = children.start(server)
        until(lambda: bench.noted("done").total() > reached + 20, 60, "progress after the broker's return")
        _complete(bench, 300)
        assert member.poll() is None, "the worker should not need a restart"
        assert not bench.dead()
        bench.close()
    finally:
        children.end([broker])

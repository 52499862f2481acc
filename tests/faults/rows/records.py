"""Rows 30 and 33: a burst of records that are broken, and one that is newer than its reader."""

import asyncio
import os
import signal
import subprocess
import sys

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from producers.clients import librdkafka
from producers.committed import committed_by_group
from producers.step_orders import standing
from schemas.topics import CHUNK, DEAD_LETTERS
from tests.faults.suite import Row, Scene
from tests.faults.world import Plan
from tests.support import read, until

_BROKEN = 30
_ALONE = Plan(settings=(("HEADRACE_HALT_WINDOW", "100"),))
"""A world of its own: what is halted here harms no other row."""


def _newer(scene: Scene) -> None:
    """A page comes in a version that nobody here knows: it is held, and waits for a release that does."""
    scene.last(5)
    like = read(scene.world.broker, CHUNK.name)[-1]
    letters = len(read(scene.world.broker, DEAD_LETTERS.name))
    headers = [(name, _later(value) if name == "ce_type" else value) for name, value in like.headers()]
    producer = Producer(librdkafka(scene.world.broker))
    placed: list[int] = []
    producer.produce(
        CHUNK.name, like.value(), like.key(), partition=like.partition(), headers=headers,
        on_delivery=lambda _, message: placed.append(message.offset() or 0),
    )  # fmt: skip
    producer.flush(20)
    place = TopicPartition(CHUNK.name, like.partition(), placed[0] + 1)
    until(lambda: _committed(scene, place) == placed[0], 30, "all before it done")
    scene.last(6)
    scene.expect(_committed(scene, place) == placed[0], "a record of an unknown version was passed")
    scene.expect(len(read(scene.world.broker, DEAD_LETTERS.name)) == letters, "it became a dead letter")
    # The release that knows it comes: here, as if it had been read by then.
    admin = AdminClient(librdkafka(scene.world.broker))  # which answers only while it is held
    admin.delete_records([place])[place].result(30)
    since = len(scene.world.stack.events())
    os.kill(scene.world.stack.pids()["chunk-1"], signal.SIGTERM)
    scene.killer.recovered("chunk-1", since)


def _later(kind: bytes) -> bytes:
    return kind.rpartition(b".v")[0] + b".v9"


def _committed(scene: Scene, place: TopicPartition) -> int:
    at = (place.topic, place.partition)
    found = asyncio.run(committed_by_group(scene.world.broker, [at], 10, ["headrace.chunk"]))
    return found["headrace.chunk"].get(at, 0)


def _burst(scene: Scene) -> None:
    """Nearly a third of what comes is broken: the step halts, stays halted over a restart, and goes on when told."""
    scene.last(6)
    good = read(scene.world.broker, CHUNK.name)[-70:]
    producer, letters = Producer(librdkafka(scene.world.broker)), len(read(scene.world.broker, DEAD_LETTERS.name))
    records = [(one.key(), one.value(), one.headers()) for one in good] + [(b"bad", b"{", [])] * _BROKEN
    scene.chance.shuffle(records)
    for key, value, headers in records:
        producer.produce(CHUNK.name, value, key, partition=scene.chance.randrange(CHUNK.partitions), headers=headers)
    producer.flush(30)
    until(lambda: _halted(scene), 60, "the step halted")
    since = len(scene.world.stack.events())
    os.kill(scene.world.stack.pids()["chunk-1"], signal.SIGTERM)
    scene.killer.recovered("chunk-1", since)
    waiting = scene.world.behind().get("headrace.chunk", 0)
    scene.last(4)
    still = scene.world.behind().get("headrace.chunk", 0)
    scene.expect(_halted(scene) and still >= waiting > 0, "a halted step went on after a restart")

    def gone_on() -> bool:
        if _halted(scene):
            env = {**os.environ, "HEADRACE_KAFKA": scene.world.broker.bootstrap}
            command = [sys.executable, "-m", "cli.main", "steps", "resume", "chunk"]
            subprocess.run(command, env=env, capture_output=True, check=True)
        complete = len(read(scene.world.broker, DEAD_LETTERS.name)) >= letters + _BROKEN
        return complete and not _halted(scene) and not scene.world.behind().get("headrace.chunk")

    until(gone_on, 90, "every broken record a dead letter, and none behind them")


def _halted(scene: Scene) -> bool:
    order = standing(scene.world.broker).get("chunk")
    return order is not None and order.halted


ROWS = (
    Row(30, "a burst of broken records", _burst, plan=_ALONE),
    Row(33, "a record of a newer release", _newer),
)

"""Rows 6, 7 and 32: restarts in turn, workers that come and go, topics that grow."""

import signal
import time
from contextlib import ExitStack

from confluent_kafka.admin import AdminClient, NewPartitions

from producers.clients import librdkafka
from schemas.topics import CHUNK, EMBED, EVENTS, JOBS, OCR, OCR_INTERACTIVE, VECTORS
from tests.faults.extra import Extra
from tests.faults.suite import Row, Scene
from tests.faults.world import Plan
from tests.support import until

_ROUNDS = 2
_WIDENED = (JOBS, OCR, OCR_INTERACTIVE, CHUNK, EMBED, VECTORS, EVENTS)
_WIDE = Plan("wide")
"""A world whose topics are as no other row wants them."""


def _rolling(scene: Scene) -> None:
    slots = sorted(scene.world.stack.pids())
    for _ in range(_ROUNDS):
        for slot in slots:
            scene.killer.now(slot, signal.SIGTERM)
    scene.told.append(f"{_ROUNDS * len(slots)} restarts in {_ROUNDS} rounds")


def _one_eight_one(scene: Scene) -> None:
    begun = time.monotonic()
    with ExitStack() as held:
        more = [held.enter_context(Extra(scene.world.stack, "ocr-1", f"ocr-{n}")) for n in range(3, 9)]
        until(lambda: all(one.ready() for one in more), 90, "eight workers")
        scene.told.append(f"eight workers after {time.monotonic() - begun:.0f} s")
        time.sleep(3)
    scene.told.append(f"two again after {time.monotonic() - begun:.0f} s")


def _more_partitions(scene: Scene) -> None:
    """Every topic of work gets twice its partitions while documents come in."""
    scene.last(4)
    admin = AdminClient(librdkafka(scene.world.broker))
    wanted = [NewPartitions(topic.name, 2 * topic.partitions) for topic in _WIDENED]
    for future in admin.create_partitions(wanted).values():
        future.result(10)
    scene.last(20)


ROWS = (
    Row(6, "rolling restart of every role", _rolling),
    Row(7, "workers 2 to 8 to 2", _one_eight_one),
    Row(32, "twice the partitions while they are in use", _more_partitions, plan=_WIDE),
)

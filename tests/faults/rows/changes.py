"""Rows 6 and 7: restarts in turn, and workers that come and go."""

import time
from contextlib import ExitStack

from tests.faults.extra import Extra
from tests.faults.suite import Row, Scene
from tests.support import until

_ROLLED = (
    "prepare-1",
    "ocr-1",
    "ocr-2",
    "chunk-1",
    "embed-1",
    "projector-1",
    "index-pgvector-1",
    "relay-1",
    "api-1",
    "api-2",
)
_ROUNDS = 2


def _rolling(scene: Scene) -> None:
    import signal

    slots = [slot for slot in _ROLLED if slot in scene.world.stack.pids()]
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


ROWS = (
    Row(6, "rolling restart of every role", _rolling),
    Row(7, "workers 2 to 8 to 2", _one_eight_one),
)

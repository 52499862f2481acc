"""Row 34: one tenant floods, another is not to feel it."""

import time
from functools import partial

import httpx2
import numpy as np

from tests.faults.documents import sections
from tests.faults.suite import Row, Scene
from tests.faults.verdict import Expected
from tests.support import until

_ASKED = 12
_FLOOD, _PAGES = 40, 100
_LATE = 2.0
"""How many times its idle p95 another tenant may wait."""


def _flood(scene: Scene) -> None:
    """A tenant with little to do waits no more than twice as long while another has thousands of pages waiting."""
    idle = _waited(scene, "idle")
    either = frozenset({"succeeded", "cancelled", "partial"})
    for number in range(_FLOOD):
        scene.submit(f"flood-{number}.txt", sections(_PAGES, number).encode(), Expected("demo", either), lane="bulk")
    flood = list(scene.expected)[-_FLOOD:]
    busy = _waited(scene, "busy")
    with scene.world.client("demo") as client:
        waiting = sum(client.post(f"/v1/jobs/{job}/cancel").status_code == 202 for job in flood)
    scene.told.append(
        f"p95 {idle:.2f} s idle, {busy:.2f} s beside {_FLOOD * _PAGES} pages, {waiting} of {_FLOOD} jobs still waiting"
    )
    scene.expect(waiting > _FLOOD / 2, "the flood was over too soon to tell anything")
    scene.expect_time(busy <= _LATE * idle, f"p95 rose from {idle:.2f} to {busy:.2f} s")


def _waited(scene: Scene, when: str) -> float:
    """Seconds until a small job had ended, p95 of some, one after the other."""
    times = []
    with scene.world.client("other") as client:
        for number in range(_ASKED):
            begun = time.monotonic()
            content = sections(2, number).encode()
            job = scene.submit(f"{when}-{number}.txt", content, Expected("other", mark=f"Pump {number} of", pages=2))
            until(partial(_ended, client, job), 120, f"{job} ended")
            times.append(time.monotonic() - begun)
    return float(np.percentile(times, 95))


def _ended(client: httpx2.Client, job: str) -> bool:
    return client.get(f"/v1/jobs/{job}").json().get("state") not in ("queued", "running", None)


ROWS = (Row(34, "one tenant floods, another asks", _flood, fed=False),)

"""Rows 10 to 12, 14, 16 and 17: Kafka dies, falls silent, forgets, loses what was not read, or is hard to reach."""

import os
import shutil
import signal
import time

import httpx2

from deploy.local.samples import letters
from schemas.topics import JOBS, OCR, OCR_INTERACTIVE
from tests.faults.disk import full
from tests.faults.extra import Extra
from tests.faults.history import topic
from tests.faults.killer import Kill
from tests.faults.suite import Row, Scene
from tests.faults.verdict import Expected
from tests.faults.world import Plan
from tests.support import delete_records, until

_PROXIED = ("toxiproxy-server",)
AWAY, SILENT = 15.0, 40.0
_FRESH = Plan("fresh")
"""A world where little lies on the log: all of it is read again."""
_EXPIRED = frozenset({"expired"})


def _dies(scene: Scene) -> None:
    """Away for 15 s: nobody is promised anything meanwhile."""
    kafka = scene.world.servers["kafka"]
    scene.last(3)
    kafka.kill()
    scene.last(AWAY)
    scene.expect(scene.feeder.answers[503], "no caller was told 503 while Kafka was away")
    begun = time.monotonic()
    kafka.start()
    scene.killer.log.append(Kill("kafka", "any", "", time.monotonic() - begun, server=True))
    scene.told.append(f"callers were answered {dict(scene.feeder.answers)}")


def _silent(scene: Scene) -> None:
    """Half dead for longer than any session and any publish: connections stay open, nothing is answered."""
    scene.last(3)
    scene.world.servers["kafka"].stop()
    scene.last(SILENT)
    scene.expect(scene.feeder.answers[503], "no caller was told 503 while Kafka was silent")
    scene.world.servers["kafka"].resume()
    scene.told.append(f"callers were answered {dict(scene.feeder.answers)}")


def _forgets(scene: Scene) -> None:
    """Every group's place is gone: all that lies on the log is worked on again, to no effect."""
    kafka = scene.world.servers["kafka"]
    scene.last(4)
    kafka.end()
    for folder in (scene.world.folder / "kafka" / "data").glob("__consumer_offsets-*"):
        shutil.rmtree(folder)
    kafka.start()
    scene.last(5)


def _leaders_die(scene: Scene) -> None:
    """Of three brokers the one that leads acceptance is killed, twice: two go on, and what they confirmed is there."""
    cluster = scene.world.cluster
    for partition in (0, 1):
        scene.last(4)
        leader = cluster.leader(JOBS.name, partition)
        cluster.kill(leader)
        _three_more(scene)
        cluster.start(leader)
        cluster.until_whole()


def _three_more(scene: Scene) -> None:
    accepted = len(scene.feeder.accepted)
    until(lambda: len(scene.feeder.accepted) > accepted + 2, 60, "jobs accepted by two brokers")


def _passed_by_retention(scene: Scene) -> None:
    """Pages are deleted from the log before a worker has read them: their job ends at its deadline, and no other."""
    path = scene.world.folder / "eight.pdf"
    letters(path, 8)
    stack = scene.world.stack
    pids = stack.pids()
    os.kill(stack.pid, signal.SIGSTOP)  # else the workers would be there again at once
    try:
        for slot in ("ocr-1", "ocr-2"):
            os.kill(pids[slot], signal.SIGKILL)
        job = scene.submit("late.pdf", path.read_bytes(), Expected("demo", _EXPIRED), deadline_seconds="40")
        until(lambda: _pages(scene, job), 30, "a page on the log")
        delete_records(scene.world.broker, OCR.name, OCR_INTERACTIVE.name)
    finally:
        os.kill(stack.pid, signal.SIGCONT)
    scene.submit("after.pdf", path.read_bytes(), Expected("demo", pages=8))


def _pages(scene: Scene, job: str) -> int:
    said = [one for name in (OCR.name, OCR_INTERACTIVE.name) for one in topic(scene.world.broker, name)]
    return sum(one.place.job == job for one in said)


def _hard_to_reach(scene: Scene) -> None:
    """Slow, thin, cut in the middle, half open: each for a while, between the workers and Kafka."""
    wire = scene.world.wires["kafka-workers"]
    for seconds, kind, attributes in (
        (10, "latency", {"latency": 500, "jitter": 400}),
        (8, "bandwidth", {"rate": 1}),
        (6, "reset_peer", {"timeout": 200}),
        (12, "timeout", {"timeout": 0}),
    ):
        wire.poison(kind, **attributes)
        scene.last(seconds)
        wire.mend()
        scene.last(2)


def _parted(scene: Scene) -> None:
    """One API process loses Kafka; it says so, and everything else works on."""
    settings = {"HEADRACE_KAFKA": scene.world.api_kafka}
    with Extra(scene.world.stack, "api-2", "api-9", settings) as parted:
        parted.until_ready()
        wire, url = scene.world.wires["kafka-apis"], parted.url
        until(lambda: _status(url, "/readyz") == 200, 20, "the process to be ready")
        wire.cut()
        until(lambda: _status(url, "/readyz") == 503, 20, "the process to say that it is not ready")
        scene.expect(_status(url, "/livez") == 200, "a process without Kafka is not to be killed")
        own = scene.world.stack.headers()
        refused = httpx2.post(f"{url}/v1/jobs", files={"file": ("a.txt", b"a")}, headers=own, timeout=30)
        scene.expect(refused.status_code == 503, f"without Kafka a job was answered with {refused.status_code}")
        scene.expect(scene.feeder.answers[503] == 0, "the other API processes were to accept jobs")
        wire.mend()
        until(lambda: _status(url, "/readyz") == 200, 30, "the process to be ready again")


def _status(url: str, path: str) -> int:
    return int(httpx2.get(url + path, timeout=10, trust_env=False).status_code)


def _full(scene: Scene) -> None:
    """Kafka's disk is full: nothing more is promised; once there is room and Kafka is up again, all goes on."""
    kafka = scene.world.servers["kafka"]
    scene.last(3)
    with full(scene.world.folder / "kafka"):
        until(lambda: scene.feeder.answers[503] > 1, 120, "callers are told 503")
    if not kafka.running:  # it ends itself when its only disk fails
        kafka.start()
    scene.told.append(f"callers were answered {dict(scene.feeder.answers)}")


ROWS = (
    Row(10, "Kafka killed, away for 15 s", _dies),
    Row(11, "Kafka silent for 40 s", _silent),
    Row(12, "Kafka comes back without any group's place", _forgets, plan=_FRESH),
    Row(13, "of three brokers the leader killed, twice", _leaders_die, plan=Plan(brokers=3)),
    Row(14, "pages deleted from the log before they were read", _passed_by_retention, fed=False),
    Row(15, "Kafka's disk full", _full, plan=Plan(disk=300)),
    Row(16, "Kafka slow, thin, reset, half open", _hard_to_reach, needs=_PROXIED, every=1.5),
    Row(17, "one API process parted from Kafka", _parted, needs=_PROXIED),
)

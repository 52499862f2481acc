"""What operators do to a platform that works: restart it, scale it, widen its topics. Nothing is lost or doubled."""

import asyncio
import os
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.topics import OCR, TOPICS
from tests.faults.verdict import Expected, judge
from tests.support import read, until
from tests.upgrade import releases
from tests.upgrade.callers import Callers
from tests.upgrade.fleet import Fleet, of_release
from tests.upgrade.releases import THIS

pytestmark = [pytest.mark.stack, pytest.mark.alone]
ROUNDS = int(os.environ.get("HEADRACE_ROLLING_ROUNDS") or 0)
"""How often every worker is restarted, on a machine that is otherwise quiet, so that the pace is judged as well.

Without it a few are, once, and what takes minutes is left to row 32 of `make faults`.
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """All slots of this release at work, and places for eight OCR workers."""
    folder = tmp_path_factory.mktemp("fleet") / "stack"
    with Fleet(folder, {"HEADRACE_ENGINES": "sleep:0.05"}, ocr_workers=8) as made:
        made.prepare()
        made.start(*of_release(THIS))
        yield made


def _judged(fleet: Fleet, submitter: Callers) -> None:
    pages = submitter.stop()
    until(lambda: fleet.ended(pages), 300 + 60 * ROUNDS, "every job to end")  # more came in than was done meanwhile
    until(lambda: not fleet.behind(()), 60, "every group to have read everything")
    expected = {job: Expected("demo", pages=count) for job, count in pages.items()}
    verdict = judge(asyncio.run(fleet.history()), expected, ("pgvector",))
    assert verdict.clean, verdict.told()
    assert fleet.dead_letters() == 0


def test_workers_restarted_in_turn_lose_nothing_and_keep_more_than_half_of_the_pace(
    fleet: Fleet, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    rolled = [name for name in of_release(THIS) if not name.startswith("api")]
    random.Random(6).shuffle(rolled)
    turns = rolled * ROUNDS or rolled[:4]
    submitter = Callers(fleet, tmp_path, every=1.0)
    until(lambda: fleet.pages() >= 40, 60, "work at full pace")
    steady = _pace(fleet, lambda: time.sleep(8))
    rolling = _pace(fleet, lambda: [fleet.replace(name) for name in turns])
    _judged(fleet, submitter)
    record_property("pages a second with restarts, and without", (rolling, steady))
    if ROUNDS:
        assert rolling > steady / 2


@pytest.mark.long
def test_one_worker_becomes_eight_and_one_again_without_a_storm_of_rebalances(fleet: Fleet, tmp_path: Path) -> None:
    more = [f"ocr-{number}" for number in range(2, 9)]
    fleet.stop("ocr-2")
    submitter = Callers(fleet, tmp_path, every=1.0)
    until(lambda: fleet.pages() >= 20, 60, "work on one worker")
    before = _generations(fleet, "headrace.ocr")
    fleet.start(*more)
    fleet.stop(*more)
    _judged(fleet, submitter)
    made = _generations(fleet, "headrace.ocr") - before
    assert made <= len(more) + 1 + 2, f"{made} generations"
    fleet.start("ocr-2")


@pytest.mark.skipif(not ROUNDS, reason="takes minutes; HEADRACE_ROLLING_ROUNDS is not set")
def test_partitions_doubled_under_load_lose_nothing(fleet: Fleet, tmp_path: Path) -> None:
    submitter = Callers(fleet, tmp_path, every=0.7)
    until(lambda: len(submitter.accepted) >= 4, 60, "load")
    wider = {topic.name: 2 * topic.partitions for topic in TOPICS if not topic.compacted}
    admin = AdminClient(librdkafka(Broker(fleet.kafka)))
    for made in admin.create_partitions([NewPartitions(name, count) for name, count in wider.items()]).values():
        made.result()
    fleet.replace("api-1")  # its clients know the new partitions at once; all others learn of them within half a minute
    fleet.replace("prepare-1")
    until(lambda: len(submitter.accepted) >= 20, 120, "load on the new partitions")
    _judged(fleet, submitter)
    assert {message.partition() for message in read(Broker(fleet.kafka), OCR.name)} > set(range(OCR.partitions))


def _pace(fleet: Fleet, meanwhile: Callable[[], object]) -> float:
    """Pages a second that come to their end while something is done."""
    pages, begun = fleet.pages(), time.monotonic()
    meanwhile()
    return (fleet.pages() - pages) / (time.monotonic() - begun)


def _generations(fleet: Fleet, group: str) -> int:
    """The highest generation of a group, as the broker's own log of groups tells it."""
    found = [0]
    for message in read(Broker(fleet.kafka), "__consumer_offsets"):
        key, value = message.key(), message.value()
        if value is None or struct.unpack_from(">h", key)[0] != 2 or key[4:].decode() != group:
            continue
        (length,) = struct.unpack_from(">h", value, 2)  # value: version, protocol type, generation …
        found.append(struct.unpack_from(">i", value, 4 + length)[0])
    return max(found)


class _Uploader(threading.Thread):
    """A caller without patience: one request after the other, and what went wrong is kept."""

    def __init__(self, fleet: Fleet, document: bytes) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.wrong: list[str] = []
        self._fleet = fleet
        self._document = document
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.is_set():
            with httpx2.Client(base_url=self._fleet.url, headers=self._fleet.headers(), timeout=20) as client:
                try:
                    answer = client.post("/v1/jobs", files={"file": ("page.txt", self._document)})
                except httpx2.TransportError as error:
                    self.wrong.append(repr(error))
                    continue
            if answer.status_code == 202:
                self.accepted.append(answer.json()["id"])
            else:
                self.wrong.append(answer.text)

    def finish(self) -> None:
        self._enough.set()
        self.join(30)


def test_api_processes_of_two_releases_replaced_in_turn_lose_no_request(fleet: Fleet, tmp_path: Path) -> None:
    uploaders = [_Uploader(fleet, b"one line of text, and another\n" * 20_000) for _ in range(4)]
    for uploader in uploaders:
        uploader.start()
    for release in (releases.last(), THIS):
        for name in ("api-1", "api-2"):
            fleet.replace(name, release)
            done = sum(len(uploader.accepted) for uploader in uploaders)
            until(lambda done=done: sum(len(one.accepted) for one in uploaders) > done + 4, 30, "uploads to go on")
        if release is not THIS:
            assert [wrong for uploader in uploaders for wrong in uploader.wrong] == [], "this release's processes ended"
    for uploader in uploaders:
        uploader.finish()
    # The last release closes connections whose first request is still under way: such a caller has to come again.
    wrong = {wrong for uploader in uploaders for wrong in uploader.wrong}
    assert wrong <= {"RemoteProtocolError('Server disconnected without sending a response.')"}
    accepted = [job for uploader in uploaders for job in uploader.accepted]
    until(lambda: fleet.known(accepted), 120, "every job that was accepted to be known")

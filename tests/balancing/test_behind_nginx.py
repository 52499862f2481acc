"""Several API processes behind nginx: any of them does for any request, and one may go without a request lost."""

import asyncio
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from producers import provisioning
from schemas.broker import Broker
from schemas.ids import JobIds
from tests.api.followed import LONG, Seen, follow
from tests.api.processes import KEY, apis
from tests.api.stories import Scribe
from tests.balancing.nginx import answered, balanced
from tests.sinks.databases import Database, fresh
from tests.support import until

pytestmark = pytest.mark.needs("nginx")
COUNT = 3


@dataclass
class Site:
    """One address, the processes behind it, and where they leave their marks."""

    url: str
    folder: Path
    database: Database

    def stop(self, number: int) -> None:
        """Tell a process to end, and wait until it has."""
        pid = json.loads((self.folder / f"api-{number}.ready").read_text())["pid"]
        os.kill(pid, signal.SIGTERM)
        until(lambda: _ended(pid), 20, f"api-{number} ended")


def _ended(pid: int) -> bool:
    """A child that nobody has waited for yet is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture(scope="module")
def database(postgres: str) -> Database:
    return fresh(postgres)


@pytest.fixture
def site(kafka: Broker, database: Database, tmp_path: Path) -> Iterator[Site]:
    provisioning.apply(kafka, dev=True)
    with apis(tmp_path, kafka.bootstrap, database.api, count=COUNT) as (_, *urls), balanced(tmp_path, urls) as url:
        yield Site(url, tmp_path, database)


def _client(site: Site) -> httpx2.Client:
    return httpx2.Client(base_url=site.url, headers=KEY, timeout=60, trust_env=False)


def test_what_one_process_gave_every_other_knows(site: Site) -> None:
    pdf = {"file": ("a.pdf", b"%PDF-1.7 hello")}
    with _client(site) as client:
        job = client.post("/v1/jobs", files=pdf).json()["id"]
        views = [client.get(f"/v1/jobs/{job}") for _ in range(2 * COUNT)]
        assert {view.json()["state"] for view in views} == {"queued"}
        tags = {view.headers["etag"] for view in views}
        assert len(tags) == 1, "one job has one tag, whoever is asked"
        again = [client.get(f"/v1/jobs/{job}", headers={"If-None-Match": tags.copy().pop()}) for _ in range(COUNT)]
        assert {answer.status_code for answer in again} == {304}
        keyed = [client.post("/v1/jobs", files=pdf, headers={"Idempotency-Key": "one"}) for _ in range(2 * COUNT)]
        assert len({answer.json()["id"] for answer in keyed}) == 1
        assert [answer.headers.get("idempotent-replayed") for answer in keyed] == [None, *["true"] * (2 * COUNT - 1)]
    used = {by for by, _, request in answered(site.folder) if "/v1/jobs" in request}
    assert len(used) == COUNT, "every process was asked"


async def test_an_event_stream_goes_on_at_another_process_without_gap_or_repeat(site: Site) -> None:
    job, seen = JobIds({1: "secret"}).issue("demo"), Seen()
    async with (
        Scribe(site.database.sink) as scribe,
        httpx2.AsyncClient(base_url=site.url, headers=KEY, timeout=60, trust_env=False) as client,
    ):
        await scribe.job(job)
        for number, kind in enumerate(LONG):
            last = seen.events[-1].seq if seen.events else None
            following = asyncio.create_task(follow(client, job, last=last, cut=1))
            await scribe.tell(job, [kind], begin=number + 1)
            got = await asyncio.wait_for(following, 30)
            seen.events += got.events
            if number in (1, 3):  # whoever has served it so far may be the one that goes
                await asyncio.to_thread(site.stop, 1 if number == 1 else 2)
    assert [event.seq for event in seen.events] == list(range(1, len(LONG) + 1))
    assert [event.event for event in seen.events] == list(LONG)


def test_processes_that_are_told_to_end_lose_no_request(site: Site) -> None:
    pdf = {"file": ("a.pdf", b"%PDF-1.7 hello")}
    done, statuses, jobs, failed = threading.Event(), Counter[int](), list[str](), list[str]()

    def work() -> None:
        with _client(site) as client:
            while not done.is_set():
                try:
                    accepted = client.post("/v1/jobs", files=pdf)
                    statuses[accepted.status_code] += 1
                    jobs.append(accepted.json()["id"])
                    statuses[client.get(f"/v1/jobs/{jobs[-1]}").status_code] += 1
                except (httpx2.TransportError, ValueError, KeyError) as error:
                    failed.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(jobs) > 20, 60, "requests go through")
        for number in (1, 2):
            before = len(jobs)
            site.stop(number)
            until(lambda since=before: len(jobs) > since + 20, 60, "requests go on")  # type: ignore[misc]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert set(statuses) == {202, 200}, statuses
    assert len(set(jobs)) == len(jobs)

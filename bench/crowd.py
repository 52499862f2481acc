"""Callers who share a stack: those who send thousands of pages, and those who send two and wait."""

import io
import json
import statistics
import time
from dataclasses import dataclass

import httpx2
import pypdfium2
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from bench.machine import resident
from deploy.local.session import Session
from producers.clients import librdkafka
from schemas.broker import Broker
from schemas.envelope import Lane
from schemas.jobs import ENDS, JobState
from schemas.topics import JOBS, PREPARE_INTERACTIVE

SHORT = 2
"""Pages of a job that somebody waits for."""
_SIDE = 72  # points: small pages, as it is the steps' queues that are looked at


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody who sends a short job and waits for its end."""

    tenant: str
    lane: Lane


def document(pages: int) -> bytes:
    """A PDF of so many blank pages: each is a picture to be read."""
    made, file = pypdfium2.PdfDocument.new(), io.BytesIO()
    for _ in range(pages):
        made.new_page(_SIDE, _SIDE)
    made.save(file)
    made.close()
    return file.getvalue()


def percentile95(seconds: list[float]) -> float:
    """The 95th percentile of what was seen."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[18]


class Crowd:
    """Callers of a running stack."""

    def __init__(self, stack: Session) -> None:
        self._stack = stack
        self._short = document(SHORT)
        self._last: tuple[str, str] | None = None

    def flood(self, tenant: str, lane: Lane, jobs: int, pages: int) -> None:
        """Submit `jobs` documents of `pages` each; returns once they are accepted."""
        content = document(pages)
        with self._client(tenant) as client:
            for _ in range(jobs):
                self._last = (tenant, _submit(client, content, lane))

    def backlog_stands(self) -> bool:
        """Whether the last job of the last flood has not begun."""
        assert self._last is not None
        tenant, job = self._last
        with self._client(tenant) as client:
            return bool(client.get(job).json()["state"] == JobState.QUEUED)

    def timed(self, waiter: Waiter) -> float:
        """Seconds from the submission of a short job to the line of its event stream that tells its end."""
        with self._client(waiter.tenant) as client:
            began = time.perf_counter()
            job = _submit(client, self._short, waiter.lane)
            with client.stream("GET", f"{job}/events") as stream:
                for line in stream.iter_lines():
                    if line.startswith("data:") and json.loads(line[5:])["event"] in ENDS:
                        return time.perf_counter() - began
        raise RuntimeError("the stream ended before the job did")

    def dispatching(self) -> list[float]:
        """Milliseconds from each job's record to that of its first interactive slice, which prepare reads instead."""
        broker = Broker(self._stack.kafka)
        accepted, released = _first(broker, JOBS.name), _first(broker, PREPARE_INTERACTIVE.name)
        return [float(at - accepted[job]) for job, at in released.items()]

    def dispatcher_mb(self) -> float:
        """What the dispatcher holds in memory."""
        return resident(self._stack.pids()["dispatcher-1"])

    def _client(self, tenant: str) -> httpx2.Client:
        return httpx2.Client(base_url=self._stack.url, headers=self._stack.headers(tenant), timeout=120)


def _submit(client: httpx2.Client, content: bytes, lane: Lane) -> str:
    answer = client.post("/v1/jobs", files={"file": ("pages.pdf", content)}, data={"lane": lane})
    answer.raise_for_status()
    return str(answer.headers["location"])


def _first(broker: Broker, topic: str) -> dict[str, int]:
    """Of each job on a topic, when its first record was made (ms since 1970)."""
    consumer = Consumer({**librdkafka(broker), "group.id": "bench", "enable.auto.commit": False})
    found: dict[str, int] = {}
    for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
        while end:
            message = consumer.poll(10)
            if message is None or message.error() is not None:
                raise RuntimeError(f"{topic} cannot be read to its end")
            job, (_, at) = (message.key() or b"").decode(), message.timestamp()
            found[job] = min(at, found.get(job, at))
            if message.offset() == end - 1:
                break
    consumer.close()
    return found

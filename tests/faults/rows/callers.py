"""Rows 31, 36 and 37: records come three times in any order, jobs are cancelled, listeners drop out."""

import json
import time
from typing import Any

import httpx2
from confluent_kafka import Producer

from bench.machine import resident
from producers.clients import librdkafka
from schemas.topics import CHUNK, EMBED, EVENTS, JOBS, OCR, OCR_INTERACTIVE, VECTORS
from tests.faults.documents import sections
from tests.faults.suite import Row, Scene
from tests.faults.verdict import Expected
from tests.support import read

_COPIED = (JOBS, OCR, OCR_INTERACTIVE, CHUNK, EMBED, VECTORS, EVENTS)
_EITHER = frozenset({"cancelled", "succeeded", "partial"})


def _three_times(scene: Scene) -> None:
    """All that lies on the topics so far is put there twice more, in any order."""
    scene.last(8)
    producer = Producer({**librdkafka(scene.world.broker), "partitioner": "murmur2_random"})
    copied = 0
    for topic in _COPIED:
        messages = read(scene.world.broker, topic.name)[-300:] * 2
        scene.chance.shuffle(messages)
        for message in messages:
            place = message.partition()
            producer.produce(topic.name, message.value(), message.key(), partition=place, headers=message.headers())
        copied += len(messages)
        producer.flush(30)
    scene.told.append(f"{copied} records once more")


def _cancelled(scene: Scene) -> None:
    """Jobs are cancelled before, while and after they are worked on."""
    answers: dict[int, int] = {}
    with scene.world.client() as client:
        for number in range(24):
            promised = Expected("demo", _EITHER, mark=f"Pump {number} of")
            job = scene.submit(f"cancel-{number}.txt", sections(6, number).encode(), promised)
            scene.last(scene.chance.choice((0, 0.05, 0.2, 0.5, 1.0, 2.0)))
            for _ in range(scene.chance.randint(1, 3)):
                code = client.post(f"/v1/jobs/{job}/cancel").status_code
                answers[code] = answers.get(code, 0) + 1
    scene.expect(set(answers) <= {202, 409}, f"cancelling was answered with {answers}")
    scene.told.append(f"answers {answers}")


def _listeners(scene: Scene) -> None:
    """A listener drops out behind each event and goes on from there; others never read what they asked for."""
    api = scene.world.stack.pids()["api-1"]
    before = resident(api)
    job = scene.submit("followed.txt", sections(20, 7).encode(), Expected("demo", mark="Pump 7 of", pages=20))
    with scene.world.client(timeout=30) as client:
        deaf = [client.stream("GET", f"/v1/jobs/{job}/events") for _ in range(40)]
        for stream in deaf:
            stream.__enter__()
        seen = _dropping(client, job)
        for stream in deaf:
            stream.__exit__(None, None, None)
    scene.expect([one["seq"] for one in seen] == list(range(1, len(seen) + 1)), "an event is missing or came twice")
    scene.expect(seen[-1]["event"] == "job.ended" or "succeeded" in json.dumps(seen[-1]), "the end was not told")
    grown = resident(api) - before
    scene.told.append(f"{len(seen)} events by as many connections; API {grown:+.0f} MB beside 40 that did not read")
    scene.expect(grown < 64, f"the API process grew by {grown:.0f} MB")


def _dropping(client: httpx2.Client, job: str) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        headers = {"Last-Event-ID": str(seen[-1]["seq"])} if seen else {}
        with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as answer:
            if answer.status_code == 204:
                return seen
            event = next((line for line in answer.iter_lines() if line.startswith("data: ")), None)
        if event is not None:
            seen.append(json.loads(event.removeprefix("data: ")))
    raise AssertionError("the job's end was not told in time")


ROWS = (
    Row(31, "every record three times, in any order", _three_times),
    Row(36, "cancelled before, during and after the work", _cancelled, fed=False),
    Row(37, "listeners that drop out, and that do not read", _listeners),
)

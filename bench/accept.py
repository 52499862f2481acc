"""Accepting a job, with authentication, limits and checks, over a bare route that does the same writes."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from bench.machine import Span, cpu_of, own_cpu
from deploy.local import children, ports
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from producers import provisioning
from producers.clients import librdkafka
from schemas import keys
from schemas.keys import KeyEntry, KeySecret, control_key
from schemas.scopes import EVERY_SCOPE
from schemas.topics import CONTROL
from sinks.postgres.migrate import migrate

TITLE = "Accepting a job, over a bare route that does the same writes"
LIMIT = 0.85
ROUNDS, SECONDS = 5, 3.0
CASES = [(connections, keyed) for keyed in (False, True) for connections in (1, 32)]
_PASSWORDS = {"headrace_api": "bench", "headrace_sink": "bench"}
_LIMITS = {"burst": "1000000/second", "requests": "10000000/minute", "bytes": "100000000000/hour", "jobs": 100_000_000}
_KEY_LIMITS = {"requests": "10000000/minute"}


@dataclass
class _Door:
    port: int
    process: subprocess.Popen[bytes]
    key: str = "none"

    def ask(self, connections: int, *, keyed: bool) -> dict[str, float]:
        """A run of the callers: requests a second, p99 in ms, CPU microseconds of the server a request."""
        before = sum(cpu_of([psutil.Process(self.process.pid)]).values())
        words = ["--port", str(self.port), "--key", self.key, "--connections", str(connections)]
        words += ["--seconds", str(SECONDS), *(["--keyed"] if keyed else [])]
        told = subprocess.run([sys.executable, "-m", "bench.door_caller", *words], capture_output=True, check=True)
        found = json.loads(told.stdout)
        cpu = sum(cpu_of([psutil.Process(self.process.pid)]).values()) - before
        count = found["requests"]
        return {"rate": count / found["seconds"], "p99": 1000 * found["p99"], "cpu": 1e6 * cpu / count}


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """Interleaved rounds on one Kafka, one PostgreSQL and one disk."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        doors = _doors(held, folder)
        before, span = own_cpu(), Span()
        found: dict[str, list[dict[str, dict[str, float]]]] = {}
        for number in range(ROUNDS + 1):
            for connections, keyed in CASES:
                sides = list(doors.items())
                told = {
                    name: door.ask(connections, keyed=keyed)
                    for name, door in (sides if number % 2 else reversed(sides))
                }
                if number:  # the first warms both
                    found.setdefault(_case(connections, keyed=keyed), []).append(told)
        quiet = span.end(own_cpu() - before)["conclusive"]
    cases = {case: _summed(rounds) for case, rounds in found.items()}
    for case, told in cases.items():
        say(f"{case}: {told['ours']['rate']:.0f}/s, bare {told['bare']['rate']:.0f}/s, ratio {told['ratio']:.2f}")
    missed = any(told["ratio"] < LIMIT for told in cases.values())
    verdict = ("missed" if missed else "held") if quiet else "inconclusive"
    return {"cases": cases, "limit": LIMIT, "verdict": verdict}


def page(result: dict[str, Any]) -> list[str]:
    """The item's part of the page that people read."""
    rows = [
        f"| {case} | {told['bare']['rate']:.0f} | {told['ours']['rate']:.0f} | {told['ratio']:.2f} "
        f"({told['least']:.2f} to {told['most']:.2f}) | {told['bare']['p99']:.1f} | {told['ours']['p99']:.1f} "
        f"| {told['bare']['cpu']:.0f} | {told['ours']['cpu']:.0f} |"
        for case, told in result["cases"].items()
    ]
    return [
        "A form with a file of 1 KiB: an API key with limits of its own and its tenant's, all checks, the file",
        "durable, the record confirmed by the log; over FastAPI and aiokafka alone, with the same writes and no",
        "checks. With an `Idempotency-Key`, a row before and its answer behind on both sides. One process each, all",
        f"callers in one on the same machine. {ROUNDS} interleaved rounds of {SECONDS:.0f} s, medians; p99 in ms,",
        "CPU in µs a request.",
        "",
        "| | bare, 1/s | ours, 1/s | ratio (rounds) | p99 bare | p99 ours | CPU bare | CPU ours |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Each ratio of requests a second is to be at least {LIMIT}. Held or missed: {result['verdict']}.",
    ]


def _case(connections: int, *, keyed: bool) -> str:
    what = "connection" if connections == 1 else "connections"
    return f"{connections} {what}, {'keyed' if keyed else 'unkeyed'}"


def _doors(held: ExitStack, folder: Path) -> dict[str, _Door]:
    kafka_port, controller, postgres_port, bare_port, our_port = ports.free(5)
    kafka, postgres = Kafka(folder / "kafka", kafka_port, controller), Postgres(folder / "postgres", postgres_port)
    held.enter_context(children.running(kafka))
    held.enter_context(children.running(postgres))
    migrate(postgres.url, _PASSWORDS)
    provisioning.apply(kafka.broker, dev=True)
    key = _key(kafka)
    (folder / "bare").mkdir()
    bare = ["bench.bare_door", "--kafka", kafka.broker.bootstrap, "--postgres", postgres.url]
    bare += ["--folder", str(folder / "bare"), "--port", str(bare_port)]
    settings = {
        "HEADRACE_KAFKA": kafka.broker.bootstrap,
        "HEADRACE_POSTGRES": f"postgresql://headrace_api:bench@127.0.0.1:{postgres_port}/postgres",
        "HEADRACE_BLOBS": (folder / "ours").as_uri(),
        "HEADRACE_ENGINES": "fake",
        "HEADRACE_ID_KEYS": '{"1": "secret"}',
        "HEADRACE_LIMITS": json.dumps(_LIMITS),
        "HEADRACE_MAX_WAITING_PAGES": "1000000000",
    }
    return {
        "bare": _started(held, bare, bare_port, "none", {}),
        "ours": _started(held, ["api.main", "--own-port", str(our_port)], our_port, key, settings),
    }


def _started(held: ExitStack, words: list[str], port: int, key: str, settings: dict[str, str]) -> _Door:
    process = held.enter_context(subprocess.Popen([sys.executable, "-m", *words], env={**os.environ, **settings}))
    held.callback(process.terminate)
    deadline = time.monotonic() + 30
    while True:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200:
                return _Door(port, process, key)
        except httpx2.TransportError:
            pass
        assert time.monotonic() < deadline, f"{words[0]} does not answer"
        time.sleep(0.1)


def _key(kafka: Kafka) -> str:
    """A key with limits of its own, announced as the relay would."""
    from confluent_kafka import Producer

    identifier = keys.new_id()
    key = keys.new_key(identifier)
    entry = KeyEntry.model_validate(
        {"tenant": "demo", "scopes": tuple(EVERY_SCOPE), "secrets": (KeySecret(sha256=keys.sha256(key)),),
         "limits": _KEY_LIMITS}
    )  # fmt: skip
    producer = Producer(librdkafka(kafka.broker))
    producer.produce(CONTROL.name, entry.model_dump_json().encode(), control_key(identifier))
    producer.flush(20)
    return key


def _summed(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    ratios = [told["ours"]["rate"] / told["bare"]["rate"] for told in rounds]
    sides = {
        side: {name: statistics.median(told[side][name] for told in rounds) for name in ("rate", "p99", "cpu")}
        for side in ("bare", "ours")
    }
    return {**sides, "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}

"""tail on a real broker: what is committed, a line or an object a record, and nothing joined or disturbed."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from cli import log_reader
from cli.errors import Exit
from deploy.local import ports
from producers import provisioning
from producers.clients import librdkafka
from schemas import topics
from schemas.broker import Broker
from schemas.codec import encode
from schemas.documents import Payload
from schemas.envelope import Envelope, new_trace
from schemas.jobs import Failure
from schemas.plans import DOCUMENT
from schemas.results import PageEnded
from tests.cli.invoking import failure, run
from tests.support import environment, until

TEXT = "Total\x1b[2J \u202e due\n" + "x" * 200


def _record(
    number: int, tenant: str = "demo", **payload: object
) -> tuple[bytes, bytes | None, list[tuple[str, bytes]]]:
    import uuid

    told: Payload = PageEnded.model_validate({"state": "succeeded", "text": TEXT, **payload})
    envelope = Envelope(
        id=uuid.uuid4(), kind=told.kind(), at=datetime.now(UTC), job=f"job_{number}", run=1, part=number, tenant=tenant,
        plan=DOCUMENT.hash, document="d", revision=1, traceparent=new_trace(),
    )  # fmt: skip
    record = encode(topics.RESULTS.name, envelope, told)
    return record.key, record.value, list(record.headers)


@pytest.fixture(scope="module")
def log(kafka: Broker) -> Broker:
    """Two records committed, one aborted between them, one of another tenant, and what is no record of ours."""
    provisioning.apply(kafka, dev=True)
    settings = {**librdkafka(kafka), "transactional.id": "tests.tail", "partitioner": "murmur2_random"}
    producer = Producer(settings)
    producer.init_transactions(10)
    error = Failure(page=2, step="ocr", code="oops", detail="no").model_dump()
    for commit, records in (
        (True, [_record(1)]),
        (False, [_record(99)]),
        (True, [_record(2, text=None, state="failed", error=error), _record(3, "other")]),
        (True, [(b"key\xff", b"no json \x07", [("x", b"\xff")]), (b"gone", None, [])]),
    ):
        producer.begin_transaction()
        for key, value, headers in records:
            producer.produce(topics.RESULTS.name, value, key, headers=list(headers), partition=0)
        producer.flush(10)
        producer.commit_transaction(10) if commit else producer.abort_transaction(10)
    return kafka


def test_what_is_committed_is_a_line_a_record(log: Broker) -> None:
    result = run("tail", "headrace.results", "--no-follow", **environment(log))
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[1:4] for row in rows] == [
        ["PageEnded", "job_1", "p1"], ["PageEnded", "job_2", "p2"], ["PageEnded", "job_3", "p3"],
        ["-", "key\ufffd", ""], ["-", "gone", ""],
    ]  # fmt: skip
    assert rows[0][4].startswith("state=succeeded text=Total [2J   due xxx")
    assert len(rows[0][4]) < 100
    assert [row[4] for row in rows[1:]] == ["state=failed error=oops", rows[2][4], "no json  ", "(tombstone)"]
    assert not {"\x1b", "\x07", "\u202e"} & set(result.output)


def test_programs_get_position_key_envelope_headers_and_payload(log: Broker) -> None:
    result = run("tail", "results", "--no-follow", "--json", **environment(log))
    told = [json.loads(line) for line in result.stdout.splitlines()]
    keys = {"topic", "partition", "offset", "timestamp", "key", "envelope", "headers", "payload"}
    assert all(set(record) == keys for record in told)
    first, *_, strange, tombstone = told
    assert (first["envelope"]["job"], first["envelope"]["tenant"], first["headers"]) == ("job_1", "demo", {})
    assert first["payload"]["text"] == TEXT
    assert (strange["envelope"], strange["headers"], strange["payload"]) == (None, {"x": "\ufffd"}, "no json \x07")
    assert (tombstone["key"], tombstone["payload"]) == ("gone", None)
    assert datetime.fromisoformat(first["timestamp"]).tzinfo is not None


def test_count_and_tenant_choose(log: Broker) -> None:
    words = ("tail", "results", "--no-follow")
    assert len(run(*words, "--count", 2, **environment(log)).stdout.splitlines()) == 2
    assert [
        line.split("\t")[2] for line in run(*words, "--tenant", "other", **environment(log)).stdout.splitlines()
    ] == ["job_3"]
    none = run(*words, "--tenant", "nobody", **environment(log))
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no records\n")


def test_new_records_are_followed_until_ctrl_c_and_no_group_is_joined(log: Broker, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "tail", "attempts"],
            env={**os.environ, **environment(log)}, stdout=told, stderr=subprocess.PIPE,
        )  # fmt: skip
    producer = Producer(librdkafka(log))

    def seen() -> bool:
        producer.produce(topics.ATTEMPTS.name, b'{"count": 2}', b"group|topic|0|7")
        producer.flush(5)
        return "count=2" in out.read_text()

    until(seen, 20, "a record that was written while it was followed")
    assert "headrace.tail" not in {
        group.group_id for group in AdminClient(librdkafka(log)).list_consumer_groups().result().valid
    }
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (Exit.INTERRUPTED, b"")


def test_a_topic_that_is_not_declared_is_a_usage_error_naming_those_that_are(log: Broker) -> None:
    error = failure(run("tail", "resluts", **environment(log)))
    assert error.code == Exit.USAGE
    assert all(topic.name in error.hint for topic in topics.TOPICS)


def test_a_topic_that_is_not_there_yet_says_what_to_do(log: Broker) -> None:
    error = failure(run("tail", "headrace.results.nobody", "--no-follow", **environment(log)))
    assert (error.code, "topics apply" in error.hint) == (Exit.NOT_FOUND, True)


def test_a_log_that_is_away_or_unknown_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "_SECONDS", 0.5)
    away = run("tail", "results", HEADRACE_KAFKA=f"127.0.0.1:{ports.free(1)[0]}")
    assert failure(away).code == Exit.UNREACHABLE
    error = failure(run("tail", "results", "--data-dir", tmp_path, HEADRACE_KAFKA=""))
    assert (error.code, "HEADRACE_KAFKA" in error.hint) == (Exit.UNREACHABLE, True)


def test_without_an_address_the_embedded_stacks_log_is_read(log: Broker, tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"kafka": int(log.bootstrap.rpartition(":")[2])}))
    result = run("tail", "results", "--no-follow", "--data-dir", tmp_path, HEADRACE_KAFKA="")
    assert len(result.stdout.splitlines()) == 5, result.output

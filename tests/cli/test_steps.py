"""steps on a real broker: orders are given, listed, and taken back."""

import json
from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer

from cli.errors import Exit
from deploy.local import ports
from producers import provisioning
from producers.clients import librdkafka
from producers.step_orders import STEPS, give
from schemas.broker import Broker
from schemas.control import StepOrder, step_key
from schemas.topics import CONTROL
from tests.cli.invoking import failure, run
from tests.support import environment


@pytest.fixture
def log(kafka: Broker) -> dict[str, str]:
    provisioning.apply(kafka, dev=True)
    return environment(kafka)


def _state(log: dict[str, str], step: str) -> dict[str, object]:
    listed = run("steps", "list", "--json", **log)
    assert listed.exit_code == 0, listed.output
    steps = {row["step"]: row for row in json.loads(listed.stdout)["steps"]}
    assert set(steps) == set(STEPS)
    found: dict[str, object] = steps[step]
    return found


def test_a_step_is_halted_with_a_reason_and_goes_on_when_told(log: dict[str, str]) -> None:
    before = _state(log, "embed")  # other tests may have left records on the topic
    assert run("steps", "halt", "embed", "--reason", "the weights are wrong", **log, USER="ada").exit_code == 0
    found = _state(log, "embed")
    assert (found["state"], found["reason"], found["by"]) == ("halted", "the weights are wrong", "ada")
    assert found["since"]
    assert "embed\thalted\t" in run("steps", "list", **log).stdout
    assert run("steps", "resume", "embed", **log).exit_code == 0
    running = {"step": "embed", "state": "running", "since": None, "by": None, "reason": None}
    assert _state(log, "embed") == running | {"lag": before["lag"]}


def test_what_a_worker_ordered_is_listed_and_what_cannot_be_read_is_left_out(
    log: dict[str, str], kafka: Broker
) -> None:
    give(kafka, StepOrder(step="ocr", halted=True, reason="7 of 20", by="ocr-1", at=datetime.now(UTC)))
    assert _state(log, "ocr")["by"] == "ocr-1"
    producer = Producer(librdkafka(kafka))
    producer.produce(CONTROL.name, b'{"of": "a newer release"}', step_key("chunk"))
    producer.produce(CONTROL.name, None, step_key("ocr"))
    assert producer.flush(10) == 0
    assert _state(log, "chunk")["state"] == "running"
    assert _state(log, "ocr")["state"] == "running", "an order that was taken off the log stands no more"


def test_a_step_that_there_is_not_is_told_which_there_are(log: dict[str, str]) -> None:
    error = failure(run("steps", "halt", "orc", **log))
    assert error.code == Exit.USAGE
    assert "ocr" in error.hint


def test_without_a_log_nothing_is_said_to_be_done() -> None:
    (port,) = ports.free(1)
    result = run("steps", "halt", "ocr", HEADRACE_KAFKA=f"127.0.0.1:{port}")
    assert result.exit_code != 0
    assert "is halted" not in result.output
